import { expect, test } from 'vitest'
import type { Incident } from '../common/api'
import { askedAgainIn, grouped, notified } from './incidents'

const incident = (id: number, level: Incident['level'], notified_at_ms: number | null, opened_at_ms = 0): Incident => ({
  ...{ id, level, notified_at_ms, opened_at_ms, account_id: 'afu', kind: 'parked', closed_at_ms: null, count: 1 },
  ...{ reason: '', detail: '', do: '', about: '', url: '', page: '' },
})

test('the most pressing come first, and what is not notified yet is left out', () => {
  const items = [
    incident(4, 'info', 1),
    incident(3, 'urgent', null),
    incident(2, 'urgent', 1),
    incident(1, 'urgent', 1),
  ]
  expect(notified(items).map((one) => one.id)).toEqual([2, 1, 4])
})

test('the buyers of one shop who wait are one group where the newest of them stands', () => {
  const of = (id: number, kind: Incident['kind'], account_id: string) => ({
    ...incident(id, 'info', 1),
    kind,
    account_id,
  })
  const items = [
    of(5, 'buyer_waits', 'afu'),
    of(4, 'parked', 'afu'),
    of(3, 'buyer_waits', 'muzi'),
    of(2, 'wants_person', 'afu'),
    of(1, 'parked', 'afu'),
  ]
  expect(grouped(items).map((group) => group.map((one) => one.id))).toEqual([[5, 2], [4], [3], [1]])
})

test('what was opened just now is asked for again, and what is held is not', () => {
  expect(askedAgainIn([incident(1, 'urgent', null, 10_000)], 12_000)).toBeGreaterThan(0)
  expect(askedAgainIn([incident(1, 'warning', null, 10_000)], 60_000)).toBe(0)
  expect(askedAgainIn([incident(1, 'urgent', 11_000, 10_000)], 12_000)).toBe(0)
})
