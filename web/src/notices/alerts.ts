/** Which questions are told of by which page: each once, by one of the tabs. */
import type { Chat } from '../common/api'

const TOLD = 'shoal.told'
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

/** Those that were not there before, or in which the buyer has said more since. */
export function fresh(chats: Chat[], before: Set<string>): Chat[] {
  return chats.filter((chat) => !before.has(momentOf(chat)))
}

export const moments = (chats: Chat[]): Set<string> => new Set(chats.map(momentOf))

/** Take it on to tell about these; those that another tab has taken on are left out. */
export function takeOn(chats: Chat[]): Chat[] {
  let told: string[] = []
  try {
    told = JSON.parse(localStorage.getItem(TOLD) ?? '[]') as string[]
  } catch {
    // Then all are new.
  }
  const mine = chats.filter((chat) => !told.includes(momentOf(chat)))
  try {
    if (mine.length) localStorage.setItem(TOLD, JSON.stringify([...told, ...mine.map(momentOf)].slice(-MOST)))
  } catch {
    // A full store: each tab tells.
  }
  return mine
}
