/** Quick replies: found by what is typed after the slash, and filled with what the chat is about. */
import type { components } from '../common/schema'

export type QuickReply = components['schemas']['QuickReplyShape']

/** What stands for the variables; an empty value is not known. */
export interface Facts {
  buyer: string
  item: string
  price: string
  shop: string
}

const VARIABLE = /\{(buyer|item|price|shop)\}/g

/** The text with its variables filled. One whose value is not known stays as it is, for the person to see. */
export function filled(text: string, facts: Facts): string {
  return text.replace(VARIABLE, (whole, name: keyof Facts) => facts[name] || whole)
}

/** Whether something stays to be filled by hand. */
export const hasGaps = (text: string): boolean => text.search(VARIABLE) >= 0

/** What is typed after the slash, or nothing where the words are no search for a quick reply. */
export function slashed(words: string): string | null {
  return /^\/[^\s/]*$/.test(words) ? words.slice(1) : null
}

/** Those that fit what is typed: first by the beginning of the shortcut, then by any words in it or in the text. */
export function fitting(replies: readonly QuickReply[], typed: string): QuickReply[] {
  const wanted = typed.trim().toLowerCase()
  const rank = (one: QuickReply): number => {
    const shortcut = one.shortcut.toLowerCase()
    if (shortcut === wanted) return 0
    if (shortcut.startsWith(wanted)) return 1
    return shortcut.includes(wanted) ? 2 : one.text.toLowerCase().includes(wanted) ? 3 : 4
  }
  if (!wanted) return [...replies]
  return replies
    .map((one, place) => ({ one, place, rank: rank(one) }))
    .filter((found) => found.rank < 4)
    .sort((a, b) => a.rank - b.rank || a.place - b.place)
    .map((found) => found.one)
}

/** The words in the box after a quick reply was chosen: in place of its search, or else after what stands there. */
export function joinedTo(words: string, text: string): string {
  if (slashed(words) !== null || !words.trim()) return text
  return `${words.trimEnd()}\n${text}`
}
