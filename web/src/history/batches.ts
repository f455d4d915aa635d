/** Changes that one request made in several shops: the operation of each ends with its shop. */
import type { HistoryRow } from '../common/api'

/** What the changes of one request share; empty for a change of its own. */
export function batchOf(row: Pick<HistoryRow, 'op_id' | 'account'>): string {
  const end = `:${row.account}`
  return row.op_id.endsWith(end) ? row.op_id.slice(0, -end.length) : ''
}

/** Of each request the changes that can be undone, if there are several; by what they share. */
export function batchesOf(rows: readonly HistoryRow[]): ReadonlyMap<string, HistoryRow[]> {
  const found = new Map<string, HistoryRow[]>()
  for (const row of rows) {
    const batch = row.undoable ? batchOf(row) : ''
    if (batch) found.set(batch, [...(found.get(batch) ?? []), row])
  }
  return new Map([...found].filter(([, members]) => members.length > 1))
}
