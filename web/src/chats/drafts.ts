/**
 * What was written in a chat and not sent, kept in the browser over reloads, for one user.
 *
 * Each chat has a key of its own, so that two tabs never overwrite what the other keeps of another chat. At most so many
 * are kept, and not for ever: the oldest go first. Signing out takes them all away.
 */
import { reactive } from 'vue'

const PREFIX = 'shoal.draft.'
const MOST = 50
const KEPT_MS = 14 * 24 * 3_600_000

interface Draft {
  text: string
  at: number
}

/** What is shown of them; where the browser keeps nothing, they last as long as the page. */
const drafts = reactive(new Map<string, Draft>())
let writing = 0

/** The user who writes here; 0 while no one is signed in. */
export const writer = (): number => writing

const chatKey = (account: string, chat: string): string => `${account}/${chat}`
const placeOf = (key: string): string => `${PREFIX}${writing}.${key}`

/** Run what may fail, as storage does where it is full or forbidden. */
function tried(what: () => void): void {
  try {
    what()
  } catch {
    // Then the drafts last as long as the page.
  }
}

function storedKeys(prefix: string): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix))
}

function parsed(text: string | null): Draft | null {
  try {
    const found = JSON.parse(text ?? '') as Partial<Draft>
    return typeof found.text === 'string' && typeof found.at === 'number' ? { text: found.text, at: found.at } : null
  } catch {
    return null
  }
}

/** Begin with what this user wrote before; what another user left in this browser is taken away. */
export function openDrafts(user: number): void {
  if (user === writing) return
  writing = user
  drafts.clear()
  tried(() => {
    const mine = placeOf('')
    for (const place of storedKeys(PREFIX)) {
      const draft = place.startsWith(mine) ? parsed(localStorage.getItem(place)) : null
      if (draft && draft.at > Date.now() - KEPT_MS) drafts.set(place.slice(mine.length), draft)
      else localStorage.removeItem(place)
    }
  })
}

/** The user signed out: nothing of what they wrote stays in this browser. */
export function dropDrafts(): void {
  writing = 0
  drafts.clear()
  tried(() => {
    for (const place of storedKeys(PREFIX)) localStorage.removeItem(place)
  })
}

export const draftOf = (account: string, chat: string): string => drafts.get(chatKey(account, chat))?.text ?? ''

/** Keep what is written in a chat; nothing is kept of an empty box. */
export function keepDraft(account: string, chat: string, text: string): void {
  const key = chatKey(account, chat)
  if (!text.trim()) {
    drafts.delete(key)
    tried(() => localStorage.removeItem(placeOf(key)))
    return
  }
  const draft = { text, at: Date.now() }
  drafts.set(key, draft)
  tried(() => localStorage.setItem(placeOf(key), JSON.stringify(draft)))
  while (drafts.size > MOST) forgetOldest()
}

/** It is being sent: the box is empty, but until it is known to have arrived a reload brings it back. */
export function setAside(account: string, chat: string): void {
  drafts.delete(chatKey(account, chat))
}

/** What was set aside has arrived. What was written since is kept. */
export function forgetAside(account: string, chat: string): void {
  const key = chatKey(account, chat)
  if (!drafts.has(key)) tried(() => localStorage.removeItem(placeOf(key)))
}

function forgetOldest(): void {
  const [oldest] = [...drafts].reduce((a, b) => (b[1].at < a[1].at ? b : a))
  drafts.delete(oldest)
  tried(() => localStorage.removeItem(placeOf(oldest)))
}
