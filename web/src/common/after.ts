/** `Shoal-After`: a page sees what it has changed, whichever of several servers a request meets. */

/** Longer ago no server is behind. */
const KEPT_MS = 30_000
const MOST = 20

let changes: { rev: number; at: number }[] = []

/** Remember the answer to a change. The newest of its revs stands for all: one server gives them in order. */
export function noteChange(answer: unknown): void {
  const found = revsOf(answer)
  if (!found.length) return
  const rev = Math.max(...found)
  changes = [...changes.filter((one) => one.rev !== rev), { rev, at: Date.now() }].slice(-MOST)
}

/** The header of a request; none when nothing was changed lately. */
export function afterHeader(): Record<string, string> {
  changes = changes.filter((one) => one.at > Date.now() - KEPT_MS)
  return changes.length ? { 'Shoal-After': changes.map((one) => one.rev).join(',') } : {}
}

/** The revs of an answer, and of the rows in it. */
function revsOf(answer: unknown): number[] {
  const rows = isObject(answer)
    ? [answer, ...Object.values(answer).flatMap((part) => (Array.isArray(part) ? part : []))]
    : []
  return rows.flatMap((row: unknown) => (isObject(row) && typeof row.rev === 'number' && row.rev > 0 ? [row.rev] : []))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
