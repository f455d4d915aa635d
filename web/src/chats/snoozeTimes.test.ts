import { expect, test } from 'vitest'
import { fieldText, snoozeTimes } from './snoozeTimes'

const choices = (now: Date): string[] => snoozeTimes(now).map(({ name, at }) => `${name} ${fieldText(at)}`)

test('on a Saturday morning all four are offered', () => {
  expect(choices(new Date(2026, 10, 28, 10, 30))).toEqual([
    'hour 2026-11-28T11:30',
    'tonight 2026-11-28T20:00',
    'tomorrow 2026-11-29T09:00',
    'monday 2026-11-30T09:00',
  ])
})

test('late on a Sunday tonight is over and Monday is tomorrow', () => {
  expect(choices(new Date(2026, 10, 29, 19, 30))).toEqual(['hour 2026-11-29T20:30', 'tomorrow 2026-11-30T09:00'])
})

test('on a Monday the next Monday is meant, and the end of a year is passed', () => {
  expect(choices(new Date(2026, 11, 28, 21, 0))).toEqual([
    'hour 2026-12-28T22:00',
    'tomorrow 2026-12-29T09:00',
    'monday 2027-01-04T09:00',
  ])
})
