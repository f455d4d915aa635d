/** What is sought among orders, as the server is asked for it: the list, the sums and the file are asked alike. */
import { spanOf } from '../common/span'

/** The names of the filters, as they stand in the address. */
export const FILTERS = ['q', 'cid', 'status', 'filter', 'chat', 'item', 'time', 'from', 'to', 'view', 'by'] as const
export type Filters = Record<(typeof FILTERS)[number], string>
export type Query = Record<string, string | boolean | undefined>

/** `states`: those that the server knows; others are left out. */
export function queryOf(sought: Filters, states: readonly string[]): Query {
  const { q, cid, status, filter, chat, item } = sought
  return {
    q: q.trim() || undefined,
    account: cid || undefined,
    status: states.find((state) => state === status),
    problem: filter === 'hand' || undefined,
    waiting: filter === 'waiting' || undefined,
    chat: chat || undefined,
    item: item || undefined,
    ...spanOf(sought),
  }
}

/** The time zone of this browser: its days are meant. */
export const zone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

/** The address of the file of what is sought. */
export function fileOf(query: Query, format: 'csv' | 'xlsx'): string {
  const wanted = Object.entries({ ...query, format, tz: zone() }).filter(([, value]) => value !== undefined)
  return `/orders/export?${new URLSearchParams(wanted.map(([name, value]) => [name, String(value)]))}`
}

const DAY_MS = 86_400_000
const day = (moment: number, tz: string): string => new Date(moment).toLocaleDateString('sv', { timeZone: tz })

/** The days of sums, from the first to the last that has begun, so that a chart has a place for days without orders. */
export function daysOf(since: string, until: string, tz: string): string[] {
  const last = day(Math.min(Date.parse(until) - 1, Date.now()), tz)
  const days = []
  for (let at = Date.parse(`${day(Date.parse(since), tz)}T00:00:00Z`); days.at(-1) !== last; at += DAY_MS) {
    const next = new Date(at).toISOString().slice(0, 10)
    if (next > last) break
    days.push(next)
  }
  return days
}
