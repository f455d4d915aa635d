import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { barsOf, daysUntil, tableOf } = await import('./usage')

const row = (day: string, account: string, yuan: number) => ({
  day,
  account,
  calls: 1,
  tokens_in: 900,
  tokens_out: 100,
  cost_microfen: yuan * 100_000_000,
})

test('days go over the end of a month, oldest first', () => {
  expect(daysUntil('2027-03-01', 3)).toEqual(['2027-02-27', '2027-02-28', '2027-03-01'])
})

test('each shop has its bar on its day; a day without a call is nothing, not missing', () => {
  const bars = barsOf([row('2027-03-01', 'a', 2), row('2027-02-28', 'b', 3)], daysUntil('2027-03-01', 3))
  expect(bars.series).toEqual([
    { account: 'b', values: [0, 3, 0] },
    { account: 'a', values: [0, 0, 2] },
  ])
})

test('beyond four shops the cheaper ones are one bar, and nothing of the sum is lost', () => {
  const rows = ['a', 'b', 'c', 'd', 'e', 'f'].map((account, at) => row('2027-03-01', account, at + 1))
  const { series } = barsOf(rows, ['2027-03-01'])
  expect(series.map((one) => [one.account, one.values[0]])).toEqual([
    ['f', 6],
    ['e', 5],
    ['d', 4],
    ['c', 3],
    ['', 3],
  ])
})

test('a row of two providers of one shop counts once each, and one outside the days is left out', () => {
  const { series } = barsOf(
    [row('2027-03-01', 'a', 1), row('2027-03-01', 'a', 1), row('2026-01-01', 'a', 9)],
    ['2027-03-01'],
  )
  expect(series).toEqual([{ account: 'a', values: [2] }])
})

test('the table stands newest first with the tokens of both ways', () => {
  expect(tableOf([row('2027-02-28', 'a', 1), row('2027-03-01', 'b', 1)]).map((one) => [one.day, one.tokens])).toEqual([
    ['2027-03-01', 1000],
    ['2027-02-28', 1000],
  ])
})
