/** Incidents as the pages show them. */
import type { Incident, NoticeRow } from '../common/api'
import type { LiveEvent } from '../common/live'
import type { Tone } from '../common/ui/ToneMark.vue'

export const TONES: Readonly<Record<Incident['level'], Tone>> = { urgent: 'bad', warning: 'warn', info: 'busy' }

/** How far a notice is, as a colour. */
export const NOTICE_TONES: Readonly<Record<NoticeRow['state'], Tone>> = {
  waiting: 'muted',
  sending: 'busy',
  sent: 'good',
  failed: 'warn',
  uncertain: 'warn',
  given_up: 'bad',
  dropped: 'muted',
}

const RANK: Readonly<Record<Incident['level'], number>> = { urgent: 0, warning: 1, info: 2 }

/** The planner looks each second; what was opened this long ago and is not notified yet is being held. */
const PLANNED_MS = 5_000
const AGAIN_MS = 1_500

/** The most pressing first, the newer before the older. */
export const pressing = (items: readonly Incident[]): Incident[] =>
  items.toSorted((one, other) => RANK[one.level] - RANK[other.level] || other.id - one.id)

/** Those that are notified, the most pressing first: what may pass by itself before that makes no number. */
export const notified = (items: readonly Incident[]): Incident[] =>
  pressing(items.filter((one) => one.notified_at_ms !== null))

/** Whether it is about a buyer who waits for a person: everyday work. */
export const isWait = (one: Incident): boolean => one.kind === 'buyer_waits' || one.kind === 'wants_person'

/** The same in groups: the buyers of one shop who wait are one, in the place of the newest; all others stand alone. */
export function grouped(items: readonly Incident[]): [Incident, ...Incident[]][] {
  const found: [Incident, ...Incident[]][] = []
  const ofShops = new Map<string, Incident[]>()
  for (const one of items) {
    const known = isWait(one) ? ofShops.get(one.account_id ?? '') : undefined
    if (known) {
      known.push(one)
      continue
    }
    const group: [Incident, ...Incident[]] = [one]
    if (isWait(one)) ofShops.set(one.account_id ?? '', group)
    found.push(group)
  }
  return found
}

/** In how many milliseconds incidents that were opened just now are notified; 0 when there is none. */
export const askedAgainIn = (items: readonly Incident[], now: number): number =>
  items.some((one) => one.notified_at_ms === null && Math.abs(now - one.opened_at_ms) < PLANNED_MS) ? AGAIN_MS : 0

/** What the pages count by what they list: shops and orders that need a hand, and buyers who wait. */
const COUNTED: ReadonlySet<Incident['kind']> = new Set([
  'parked',
  'retrying',
  'crash_loop',
  'order_problem',
  'refund_asked',
  'buyer_waits',
  'wants_person',
])

/** Whether it needs a hand, and no list of shops, orders or chats counts it. */
export const isOther = (one: Incident): boolean => !COUNTED.has(one.kind) && one.level !== 'info'

const MOMENTS: ReadonlySet<Incident['kind']> = new Set(['buyer_waits', 'new_address', 'day'])

/** Whether it has no length: it happened, once or several times. */
export const isMoment = (one: Incident): boolean => MOMENTS.has(one.kind)

export const openedAt = (one: Incident): string => new Date(one.opened_at_ms).toISOString()

/** Whether an event of the line can be about an incident. */
export const isOfIncidents = (event: LiveEvent): boolean =>
  event.type === 'incident' || event.type === 'order' || event.type === 'stock'
