/** Which of many rows are near the view, by the heights that were measured; of the others an average is assumed. */

const FIRST_GUESS_PX = 64

export class Heights {
  private readonly known = new Map<string, number>()
  private sum = 0
  private guess = FIRST_GUESS_PX
  /** With so many measured rows the guess is renewed: one that changed with each row would move all rows with it. */
  private renewal = 1

  /** The height of a row, measured or assumed. */
  of(key: string): number {
    return this.known.get(key) ?? this.guess
  }

  /** Note what was measured; answers whether that is news. */
  note(key: string, height: number): boolean {
    const before = this.known.get(key)
    if (before === height) return false
    this.sum += height - (before ?? 0)
    this.known.set(key, height)
    if (this.known.size >= this.renewal) {
      this.guess = this.sum / this.known.size
      this.renewal = 2 * this.known.size
    }
    return true
  }

  forget(): void {
    this.known.clear()
    this.sum = 0
    this.guess = FIRST_GUESS_PX
    this.renewal = 1
  }
}

/** The rows to draw, `from` to before `to`, and the room that those above and below take. */
export interface Span {
  from: number
  to: number
  above: number
  below: number
}

export const WHOLE: Span = { from: 0, to: Number.POSITIVE_INFINITY, above: 0, below: 0 }

/** The rows that lie between two heights, at least one where there is any. */
export function spanOf(keys: readonly string[], heights: Heights, top: number, bottom: number): Span {
  let from = 0
  let above = 0
  for (; from < keys.length - 1; from++) {
    const height = heights.of(keys[from] as string)
    if (above + height > top) break
    above += height
  }
  let to = from
  let reached = above
  for (; to < keys.length && (reached < bottom || to === from); to++) reached += heights.of(keys[to] as string)
  let below = 0
  for (let at = to; at < keys.length; at++) below += heights.of(keys[at] as string)
  return { from, to, above, below }
}

/** How far from the top a row begins. */
export function beginOf(keys: readonly string[], heights: Heights, place: number): number {
  let begin = 0
  for (let at = 0; at < place; at++) begin += heights.of(keys[at] as string)
  return begin
}
