/** What the model cost per day and shop, ready to be drawn and to be read. */
import { costYuan } from './money'
import type { UsageRow } from './shapes'

export interface Bars {
  days: string[]
  /** The dearest shops by name of their own, the rest as one: `account` is then empty. */
  series: { account: string; values: number[] }[]
}

export interface DayCost {
  day: string
  account: string
  calls: number
  tokens: number
  cost_microfen: number
}

const DAY_MS = 86_400_000
/** More colours cannot be distinguished. */
const MOST_SHOPS = 4

/** The days that end with `last` (`YYYY-MM-DD`), oldest first. */
export function daysUntil(last: string, number: number): string[] {
  const end = Date.parse(`${last}T00:00:00Z`)
  return Array.from({ length: number }, (_, back) =>
    new Date(end - (number - 1 - back) * DAY_MS).toISOString().slice(0, 10),
  )
}

/** Rows of usage as stacked bars, one for each day. */
export function barsOf(rows: readonly UsageRow[], days: string[]): Bars {
  const totals = new Map<string, number>()
  for (const row of rows) totals.set(row.account, (totals.get(row.account) ?? 0) + row.cost_microfen)
  const dearest = [...totals].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([account]) => account)
  const shown = dearest.length > MOST_SHOPS + 1 ? dearest.slice(0, MOST_SHOPS) : dearest
  const others = dearest.length > shown.length ? [''] : []
  const place = new Map(days.map((day, at) => [day, at]))
  const series = [...shown, ...others].map((account) => ({ account, values: days.map(() => 0) }))
  for (const row of rows) {
    const at = place.get(row.day)
    const one = series[shown.indexOf(row.account)] ?? series.at(-1)
    if (at === undefined || !one) continue
    one.values[at] = (one.values[at] ?? 0) + costYuan(row.cost_microfen)
  }
  return { days, series }
}

/** The rows of a table: what the chart shows and its exact figures, newest first. */
export function tableOf(rows: readonly UsageRow[]): DayCost[] {
  return rows
    .map(({ day, account, calls, tokens_in, tokens_out, cost_microfen }) => ({
      day,
      account,
      calls,
      tokens: tokens_in + tokens_out,
      cost_microfen,
    }))
    .sort((a, b) => b.day.localeCompare(a.day) || b.cost_microfen - a.cost_microfen)
}
