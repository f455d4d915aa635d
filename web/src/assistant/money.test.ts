import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { costText, fenText, toFen, toYuan } = await import('./money')

test('a cost is never shown as nothing when it is something', () => {
  expect(costText(0)).toBe('¥0.00')
  expect(costText(1)).toBe('< ¥0.0001')
  expect(costText(9_999)).toBe('< ¥0.0001')
  expect(costText(10_000)).toBe('¥0.0001')
  expect(costText(123_456)).toBe('¥0.0012')
  expect(costText(250_000_000)).toBe('¥2.50')
})

test('yuan become fen without a rest of binary fractions', () => {
  expect([0, 0.29, 1.15, 19.99].map(toFen)).toEqual([0, 29, 115, 1999])
  expect(toFen(null)).toBeNull()
  expect(toYuan(1999)).toBe(19.99)
  expect(fenText(1999)).toBe('¥19.99')
})
