import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { spanOf } from './span'

const sought = (time: string, from = '', to = '') => spanOf({ time, from, to })
const local = (...at: [number, number, number]): string => new Date(...at).toISOString()

beforeEach(() => void vi.useFakeTimers({ now: new Date(2026, 2, 5, 14, 30) }))
afterEach(() => void vi.useRealTimers())

test('any time is open at both ends', () => {
  expect(sought('any')).toEqual({})
  expect(sought('')).toEqual({})
})

test('today, a week and a month begin at midnight and include today', () => {
  expect(sought('today')).toEqual({ since: local(2026, 2, 5) })
  expect(sought('week')).toEqual({ since: local(2026, 1, 27) })
  expect(sought('month')).toEqual({ since: local(2026, 1, 4) })
})

test('typed days are whole days, and a half-typed one leaves its end open', () => {
  expect(sought('days', '2026-02-27', '2026-02-28')).toEqual({ since: local(2026, 1, 27), until: local(2026, 2, 1) })
  expect(sought('days', '2026-02-2', '2026-02-28')).toEqual({ until: local(2026, 2, 1) })
})

test('typed days count only when days are sought', () => {
  expect(sought('any', '2026-02-27', '2026-02-28')).toEqual({})
})
