/** Until when a chat may be put off, in words that people use. */

export type SnoozeName = 'hour' | 'tonight' | 'tomorrow' | 'monday'

export interface SnoozeTime {
  name: SnoozeName
  at: Date
}

const EVENING = 20
const MORNING = 9
const HOUR_MS = 3_600_000
const DAYS_OF_WEEK = 7

function atHour(now: Date, days: number, hour: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour)
}

/** The times to choose from. Tonight is left out where it is less than an hour away, Monday where it is tomorrow. */
export function snoozeTimes(now: Date): SnoozeTime[] {
  const inAnHour = new Date(now.getTime() + HOUR_MS)
  const tonight = atHour(now, 0, EVENING)
  const toMonday = (DAYS_OF_WEEK + 1 - now.getDay()) % DAYS_OF_WEEK || DAYS_OF_WEEK
  return [
    { name: 'hour', at: inAnHour },
    ...(tonight > inAnHour ? [{ name: 'tonight' as const, at: tonight }] : []),
    { name: 'tomorrow', at: atHour(now, 1, MORNING) },
    ...(toMonday > 1 ? [{ name: 'monday' as const, at: atHour(now, toMonday, MORNING) }] : []),
  ]
}

/** A time as the browser's own field for one writes it. */
export function fieldText(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`
}
