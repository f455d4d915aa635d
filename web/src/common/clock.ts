/** A clock for the texts that show how long ago something was. */
import { computed, onScopeDispose, ref } from 'vue'
import { languageTag, t } from '../i18n'

/** A moment that is renewed every so many milliseconds while anybody looks. */
function ticking(every: number) {
  const now = ref(Date.now())
  let users = 0
  let timer = 0
  return () => {
    if (users++ === 0) {
      now.value = Date.now()
      timer = window.setInterval(() => {
        now.value = Date.now()
      }, every)
    }
    onScopeDispose(() => {
      if (--users === 0) clearInterval(timer)
    })
    return now
  }
}

/** The present moment, renewed every five seconds while anybody looks. */
export const useNow = ticking(5_000)

/** The present moment, renewed every second: for what counts down. */
export const useSeconds = ticking(1_000)

const relative = computed(() => new Intl.RelativeTimeFormat(languageTag.value, { numeric: 'auto', style: 'short' }))
const full = computed(() => new Intl.DateTimeFormat(languageTag.value, { dateStyle: 'medium', timeStyle: 'medium' }))
const numbers = computed(() => new Intl.NumberFormat(languageTag.value))

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
]

/** "3 minutes ago" or "just now". The page's clock is updated in steps, so a new event can seem to be in the future. */
export function ago(moment: string, at: number): string {
  const seconds = (Date.parse(moment) - at) / 1000
  return seconds > -1 ? t('time.justNow') : distance(seconds)
}

/** "in 20 seconds", or "now" for what is overdue. Rounded: what was chosen as 90 days is not "in 89" a second later. */
export const until = (moment: string, at: number): string =>
  distance(Math.max(0, Date.parse(moment) - at) / 1000, Math.round)

function distance(seconds: number, whole: (parts: number) => number = Math.trunc): string {
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return spaced(relative.value.format(whole(seconds / size), unit))
  }
  return relative.value.format(0, 'second')
}

/** Date and time in full. */
export const moment = (at: string): string => full.value.format(new Date(at))

const hour = computed(() => new Intl.DateTimeFormat(languageTag.value, { hour: '2-digit', minute: '2-digit' }))
const dayAndHour = computed(
  () =>
    new Intl.DateTimeFormat(languageTag.value, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' }),
)
const dayOf = (moment: number): string => new Date(moment).toDateString()
const second = computed(
  () => new Intl.DateTimeFormat(languageTag.value, { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
)

/** A moment to the second, with its date where that is another day. */
export const exact = (at: string, now: number): string =>
  dayOf(Date.parse(at)) === dayOf(now) ? second.value.format(new Date(at)) : moment(at)

/** The time of day, with the date where that is another day's. */
export function clockTime(moment: string, at: number): string {
  const then = Date.parse(moment)
  if (Number.isNaN(then)) return ''
  return (dayOf(then) === dayOf(at) ? hour : dayAndHour).value.format(then)
}

const days = computed(() => new Intl.RelativeTimeFormat(languageTag.value, { numeric: 'auto' }))
const dates = computed(() => new Intl.DateTimeFormat(languageTag.value, { dateStyle: 'medium' }))
const weekdays = computed(() => new Intl.DateTimeFormat(languageTag.value, { weekday: 'short' }))

/** The day of a moment: "today", "yesterday", or its date. */
export function dayName(moment: string, at: number): string {
  const then = new Date(moment)
  for (const back of [0, 1]) {
    const day = new Date(at)
    day.setDate(day.getDate() - back)
    if (dayOf(then.getTime()) === day.toDateString()) return days.value.format(-back, 'day')
  }
  return `${dates.value.format(then)} ${weekdays.value.format(then)}`
}

/** A number with its separators. */
export const count = (value: number): string => numbers.value.format(value)

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const
type Unit = (typeof UNITS)[number][0]

/** How a number of each unit is written. A formatter takes longer to make than a row of a table to draw. */
const lengths = computed(() => {
  const of = (unit: Unit) => new Intl.NumberFormat(languageTag.value, { style: 'unit', unit, unitDisplay: 'short' })
  return { day: of('day'), hour: of('hour'), minute: of('minute'), second: of('second') }
})

/** Chinese has a space between a number and a word, which the formatters leave out. */
const spaced = (words: string): string => words.replace(/(\d)(?=\p{Script=Han})/u, '$1 ')

/** A length of time in its two largest units: "3 hr 5 min", "3 小时 5 分钟". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const unit = (unit: Unit, whole: number): string => spaced(lengths.value[unit].format(whole))
  if (seconds === 0) return `< ${unit('second', 1)}`
  const at = UNITS.findIndex(([, size]) => seconds >= size)
  let rest = seconds
  const parts = UNITS.slice(at, at + 2).map(([unit, size]) => {
    const whole = Math.floor(rest / size)
    rest -= whole * size
    return { unit, whole }
  })
  return parts
    .filter(({ whole }) => whole > 0)
    .map((part) => unit(part.unit, part.whole))
    .join(' ')
}

const BYTES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']

/** A number of bytes in its largest unit: "1.2 GB". */
export function bytes(value: number): string {
  const at = Math.min(BYTES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)))
  return new Intl.NumberFormat(languageTag.value, {
    style: 'unit',
    unit: BYTES[at],
    unitDisplay: 'short',
    maximumFractionDigits: at ? 1 : 0,
  }).format(value / 1000 ** at)
}

/** A share of one in percent, cut off: what is less than all is never shown as 100 %. */
export function percent(share: number): string {
  const cut = Math.floor(share * 10_000) / 10_000
  return new Intl.NumberFormat(languageTag.value, { style: 'percent', maximumFractionDigits: 2 }).format(cut)
}
