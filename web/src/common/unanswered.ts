/**
 * Keys of changes that were not answered. Asked for again, the same change goes under the same `Idempotency-Key`: it is
 * made once, whether the server had taken it or not.
 *
 * A change that is answered since ends this for its path: asked for again, it is meant anew then.
 */

const KEPT_MS = 10 * 60_000
const MOST = 20

export interface Packed {
  bytes: BodyInit | null
  type?: string
}

export interface Keyed {
  key: string
  packed: Packed
}

interface Open extends Keyed {
  where: string
  at: number
}

const open = new Map<string, Open>()

interface Asked {
  body?: unknown
  query?: unknown
  ifMatch?: string
}

/** What makes two changes the same. A file is known by its name, size and date. */
export function printOf(method: string, where: string, { body, query, ifMatch }: Asked): string {
  const parts =
    body instanceof FormData
      ? [...body].map(([name, part]) => [name, part instanceof File ? [part.name, part.size, part.lastModified] : part])
      : body
  return JSON.stringify([method, where, query, ifMatch, parts])
}

/** The key and the body of such a change that was not answered lately. */
export function unanswered(print: string): Keyed | undefined {
  const found = open.get(print)
  return found && found.at > Date.now() - KEPT_MS ? found : undefined
}

export function keepOpen(print: string, where: string, keyed: Keyed): void {
  open.delete(print)
  open.set(print, { ...keyed, where, at: Date.now() })
  const [oldest] = open.keys()
  if (open.size > MOST && oldest !== undefined) open.delete(oldest)
}

export function answered(where: string): void {
  for (const [print, one] of open) if (one.where === where) open.delete(print)
}
