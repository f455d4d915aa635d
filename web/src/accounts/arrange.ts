/** Which shops need a hand, which are shown, and in which order. */
import type { Account } from '../common/api'

/** It runs, and has nothing to answer a message with. */
export const isMute = (account: Account): boolean => account.state === 'running' && account.answers !== 'messages'

/** A shop that only serves paid orders may be meant so; one that has nothing to say to anybody waits for its owner. */
export const needsHand = (account: Account): boolean =>
  account.state === 'parked' ||
  (account.observed.crash_loop && account.enabled) ||
  (isMute(account) && account.answers === 'nothing')

/** The site stopped it for a check: the box for its newest cookie stands on its page, and is all that helps. */
export const isStoppedForCheck = (account: Account): boolean =>
  account.state === 'parked' && account.reason === 'risk_control'

/** The shops that need a hand: first what only their owner can mend. */
export function todoOf(list: Account[]): Account[] {
  const urgency = (account: Account): number => (account.state === 'parked' ? 0 : account.observed.crash_loop ? 1 : 2)
  return list.filter(needsHand).sort((a, b) => urgency(a) - urgency(b))
}

export type Filter = 'all' | 'hand' | 'running' | 'mute' | 'busy' | 'retrying' | 'off'
export type SortKey = 'shop' | 'state' | 'rules' | 'message' | 'messages' | 'replies'
/** What is counted of a shop elsewhere, by its id. */
export type Counts = Record<'messages' | 'replies', (id: string) => number>

const URGENCY: Record<Account['state'], number> = {
  parked: 0,
  retrying: 1,
  stopping: 2,
  starting: 3,
  waiting: 4,
  running: 5,
  elsewhere: 6,
  stopped: 7,
}

/** After what fails, before what is on its way. */
const MUTE_URGENCY = 1.5

const FILTERS: Record<Filter, (account: Account) => boolean> = {
  all: () => true,
  hand: needsHand,
  running: (account) => account.state === 'running' && !isMute(account),
  mute: isMute,
  busy: (account) => account.state === 'starting' || account.state === 'stopping' || account.state === 'waiting',
  retrying: (account) => account.state === 'retrying',
  off: (account) => !account.enabled,
}

/** Whether a word of the address names a filter. */
export const isFilter = (word: unknown): word is Filter => typeof word === 'string' && Object.hasOwn(FILTERS, word)

const NO_COUNTS: Counts = { messages: () => 0, replies: () => 0 }

const KEYS: Record<Exclude<SortKey, 'shop'>, (account: Account, counts: Counts) => number> = {
  state: (account) => (isMute(account) ? MUTE_URGENCY : URGENCY[account.state]),
  rules: (account) => -(account.desired.keyword_count ?? 0),
  message: (account) => -(Date.parse(account.observed.last_message_at ?? '') || 0),
  messages: (account, counts) => -counts.messages(account.id),
  replies: (account, counts) => -counts.replies(account.id),
}

/** The part of `list` (which is in the order of names) that fits, in the order that was asked for. */
export function arranged(
  list: Account[],
  filter: Filter,
  words: string,
  key: SortKey,
  down: boolean,
  counts: Counts = NO_COUNTS,
): Account[] {
  const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean)
  const fits = FILTERS[filter]
  const found = list.filter((account) => {
    if (!fits(account)) return false
    if (!wanted.length) return true
    const text = `${account.id}\n${account.name}\n${account.remark}\n${account.unb}`.toLowerCase()
    return wanted.every((word) => text.includes(word))
  })
  if (key !== 'shop') {
    const value = KEYS[key]
    const keyed = found.map((account) => ({ account, by: value(account, counts) }))
    keyed.sort((a, b) => a.by - b.by)
    for (let i = 0; i < keyed.length; i++) found[i] = (keyed[i] as { account: Account }).account
  }
  return down ? found.reverse() : found
}
