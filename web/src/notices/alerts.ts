/** Which page shows alerts for which questions: each once, by one of the tabs. */
import type { Chat } from '../common/api'

const ALERTED_KEY = 'shoal.told'
const MOST = 100
/** Who has waited for longer is in the list of chats, but no longer counted at the top. */
export const RECENT_MS = 24 * 3_600_000

export const keyOf = (chat: Chat): string => `${chat.account}/${chat.chat_id}`
const momentOf = (chat: Chat): string => `${keyOf(chat)}@${chat.last_at}`

/** The questions that count: of these shops (of all when none is named), and not of long ago. */
export function counted(chats: Chat[], shops: string[], now: number): Chat[] {
  return chats.filter(
    (chat) => (!shops.length || shops.includes(chat.account)) && now - Date.parse(chat.last_at) < RECENT_MS,
  )
}

/** Those that were not there before, or in which the buyer has written more since. */
export function fresh(chats: Chat[], before: Set<string>): Chat[] {
  return chats.filter((chat) => !before.has(momentOf(chat)))
}

export const moments = (chats: Chat[]): Set<string> => new Set(chats.map(momentOf))

/** Take on the alerts for these; those that another tab has taken on are left out. */
export function takeOn(chats: Chat[]): Chat[] {
  let takenOn: string[] = []
  try {
    takenOn = JSON.parse(localStorage.getItem(ALERTED_KEY) ?? '[]') as string[]
  } catch {
    // Then all are new.
  }
  const mine = chats.filter((chat) => !takenOn.includes(momentOf(chat)))
  try {
    if (mine.length) localStorage.setItem(ALERTED_KEY, JSON.stringify([...takenOn, ...mine.map(momentOf)].slice(-MOST)))
  } catch {
    // A full store: each tab shows its alert.
  }
  return mine
}
