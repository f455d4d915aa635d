import { expect, test } from 'vitest'
import type { HistoryRow } from '../common/api'
import { batchesOf, batchOf } from './batches'

const row = (rev: number, account: string, op_id: string, undoable = true) =>
  ({ rev, account, op_id, undoable }) as HistoryRow

test('a change of one shop belongs to no batch', () => {
  expect(batchOf(row(1, 'afu', '7d0c1f'))).toBe('')
  expect(batchOf(row(1, 'afu', 'nightly:muzi'))).toBe('')
})

test('the changes of one request are found, but for those that cannot be undone', () => {
  const rows = [
    row(9, 'afu', 'one:afu'),
    row(8, 'muzi', 'one:muzi'),
    row(7, 'nan', 'one:nan', false),
    row(6, 'afu', 'two:afu'),
    row(5, 'afu', 'three'),
  ]
  expect([...batchesOf(rows)].map(([batch, of]) => [batch, of.map((one) => one.rev)])).toEqual([['one', [9, 8]]])
})
