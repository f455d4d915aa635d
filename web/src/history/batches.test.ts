import { expect, test } from 'vitest'
import type { HistoryRow } from '../common/api'
import { batchesOf, batchOf, mayGoOn } from './batches'

const NIGHT = '2026-01-02T20:00:00.000Z'
const row = (rev: number, account: string, op_id: string, more: Partial<HistoryRow> = {}) =>
  ({ rev, account, op_id, undoable: true, actor: 'user:ann', at: NIGHT, ...more }) as HistoryRow
const revs = (rows: HistoryRow[]) => [...batchesOf(rows)].map(([rev, of]) => [rev, of.map((one) => one.rev)])

test('a change of one shop belongs to no batch', () => {
  expect(batchOf(row(1, 'afu', '7d0c1f'))).toBe('')
  expect(batchOf(row(1, 'afu', 'nightly:muzi'))).toBe('')
})

test('the changes of one request are found, but for those that cannot be undone', () => {
  const rows = [
    row(9, 'afu', 'one:afu'),
    row(8, 'muzi', 'one:muzi'),
    row(7, 'nan', 'one:nan', { undoable: false }),
    row(6, 'afu', 'two:afu'),
    row(5, 'afu', 'three'),
  ]
  const both = [9, 8]
  expect(revs(rows)).toEqual(both.map((rev) => [rev, both]))
})

test('requests with the same key are distinguished: of another user, of another day, of the same shop again', () => {
  const bob = { actor: 'user:bob' }
  const before = { at: '2026-01-01T20:00:00.000Z' }
  const rows = [
    row(9, 'afu', 'nightly:afu'),
    row(8, 'muzi', 'nightly:muzi', bob),
    row(7, 'nan', 'nightly:nan', before),
    row(6, 'afu', 'nightly:afu', before),
    row(5, 'afu', 'again:afu'),
    row(4, 'nan', 'again:nan'),
    row(3, 'afu', 'again:afu'),
    row(2, 'muzi', 'again:muzi'),
  ]
  expect(revs(rows)).toEqual([
    [7, [7, 6]],
    [6, [7, 6]],
    [5, [5, 4]],
    [4, [5, 4]],
    [3, [3, 2]],
    [2, [3, 2]],
  ])
})

test('a request may go on below what is loaded only where its changes are the oldest ones there', () => {
  const members = [row(9, 'afu', 'one:afu'), row(8, 'muzi', 'one:muzi')]
  expect(mayGoOn(members, members[1])).toBe(true)
  expect(mayGoOn(members, row(7, 'nan', 'other', { at: '2026-01-02T19:59:55.000Z' }))).toBe(true)
  expect(mayGoOn(members, row(7, 'nan', 'other', { at: '2026-01-02T19:59:50.000Z' }))).toBe(false)
  expect(mayGoOn([], members[1])).toBe(false)
})
