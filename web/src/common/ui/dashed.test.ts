import { expect, test } from 'vitest'
import { halves, isRunning } from './dashed'

test('a span runs until as much time has passed as between it and the one before', () => {
  const times = ['2026-01-02T03:00:00Z', '2026-01-02T04:00:00Z']
  expect(isRunning(times, Date.parse('2026-01-02T04:59:59Z'))).toBe(true)
  expect(isRunning(times, Date.parse('2026-01-02T05:00:00Z'))).toBe(false)
  expect(isRunning(['2026-01-02T03:00:00Z'], 0)).toBe(false)
})

test('both parts of a line meet at the last span that is over', () => {
  expect(halves([5, 7, 1], true)).toEqual([
    [5, 7, null],
    [null, 7, 1],
  ])
  expect(halves([5, 7, 1], false)).toEqual([[5, 7, 1], []])
  expect(halves([null, 7, null], true)).toEqual([[null, 7, null], []])
})
