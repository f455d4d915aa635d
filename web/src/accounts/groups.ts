/** Groups of shops: those with the same tag. */
import type { Account } from '../common/api'
import { needsHand } from './arrange'
import { tagsOf } from './tags'

export interface Group {
  tag: string
  shops: number
  hand: number
}

/** An account is never changed: a new one takes its place. */
const known = new WeakMap<Account, string[]>()

function itsTags(account: Account): string[] {
  const found = known.get(account) ?? tagsOf(account.remark)
  known.set(account, found)
  return found
}

/** The tags of the shops, the one with most shops first, with how many shops have it and need a hand. */
export function groupsOf(list: Account[]): Group[] {
  const found = new Map<string, Group>()
  for (const account of list) {
    for (const tag of itsTags(account)) {
      const group = found.get(tag) ?? { tag, shops: 0, hand: 0 }
      group.shops += 1
      if (needsHand(account)) group.hand += 1
      found.set(tag, group)
    }
  }
  return [...found.values()].sort((a, b) => b.shops - a.shops || a.tag.localeCompare(b.tag))
}
