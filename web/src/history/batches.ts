/** Changes that one request made in several shops: the operation of each ends with its shop. */
import type { HistoryRow } from '../common/api'

/** The longest time between the changes of one request. Their times are those of the commits. */
const ONE_REQUEST_MS = 600_000

/** What the changes of one request share; empty for a change of its own. Other requests may share it too. */
export function batchOf(row: Pick<HistoryRow, 'op_id' | 'account'>): string {
  const end = `:${row.account}`
  return row.op_id.endsWith(end) ? row.op_id.slice(0, -end.length) : ''
}

/**
 * Of each request the changes that can be undone, if there are several; by the revision of each of them.
 *
 * Two users may choose the same key for their requests, and a script uses one again every day: a change of another
 * user, a much earlier one, or one of a shop that the request has changed already is of another request.
 */
export function batchesOf(rows: readonly HistoryRow[]): ReadonlyMap<number, HistoryRow[]> {
  const begun = new Map<string, { from: number; shops: Set<string>; undoable: HistoryRow[] }>()
  const found = new Map<number, HistoryRow[]>()
  for (const row of rows) {
    const batch = batchOf(row)
    if (!batch) continue
    const key = JSON.stringify([row.actor, batch])
    const at = Date.parse(row.at)
    let request = begun.get(key)
    if (!request || request.shops.has(row.account) || request.from - at > ONE_REQUEST_MS) {
      request = { from: at, shops: new Set(), undoable: [] }
      begun.set(key, request)
    }
    request.shops.add(row.account)
    if (!row.undoable) continue
    request.undoable.push(row)
    found.set(row.rev, request.undoable)
  }
  return new Map([...found].filter(([, members]) => members.length > 1))
}

/** How long after a change of a request the next one may have been committed. */
const NEXT_CHANGE_MS = 10_000

/** Whether more changes of a request may stand below the oldest row that is loaded. */
export function mayGoOn(members: readonly HistoryRow[], oldest: HistoryRow | undefined): boolean {
  const last = members.at(-1)
  return Boolean(last && oldest && Date.parse(last.at) - Date.parse(oldest.at) < NEXT_CHANGE_MS)
}
