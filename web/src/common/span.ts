/** The span of time that is sought in a list. */

export const TIMES = ['any', 'today', 'week', 'month', 'days'] as const

const midnight = (at: Date, days = 0): Date => new Date(at.getFullYear(), at.getMonth(), at.getDate() + days)

/** A day as it is typed, as the moment of its beginning; with `days`, that many later. */
function day(text: string, days: number): string | undefined {
  const [year = 0, month = 1, date = 1] = text.split('-').map(Number)
  return /^\d{4}-\d\d-\d\d$/.test(text) ? midnight(new Date(year, month - 1, date), days).toISOString() : undefined
}

/** The span as moments; both ends may be open. */
export function spanOf(sought: { time: string; from: string; to: string }): { since?: string; until?: string } {
  const back = { today: 0, week: 6, month: 29 }[sought.time]
  if (back !== undefined) return { since: midnight(midnight(new Date()), -back).toISOString() }
  const [since, until] = sought.time === 'days' ? [day(sought.from, 0), day(sought.to, 1)] : []
  return { ...(since && { since }), ...(until && { until }) }
}
