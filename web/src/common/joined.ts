/** What is loaded of a list that has changed at its top, joined to what was loaded of it before. */
import type { Page } from './api'

export interface Kind<T> {
  /** What names a row. */
  key: (row: T) => string
  /** Where it stands: what has a greater one stands before it. */
  place: (row: T) => string | number
}

/**
 * The newest page before what was known beyond it.
 *
 * Where so much is new that the page does not reach down to what was known, that is given up: there would be a hole.
 */
export function joined<T>(known: Page<T>, page: Page<T>, { key, place }: Kind<T>): Page<T> {
  const end = page.items.at(-1)
  if (!end || page.next === null) return page
  const fresh = new Map(page.items.map((row) => [key(row), place(row)]))
  const beyond = known.items.filter((row) => !fresh.has(key(row)) && place(row) <= place(end))
  const meets = known.items.some((row) => fresh.get(key(row)) === place(row))
  return meets && beyond.length ? { items: [...page.items, ...beyond], next: known.next } : page
}
