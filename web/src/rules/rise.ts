/** Which of a list were moved: all but a longest part that still stands in its old order. */

/** The places of a longest rising part of a sequence. */
export function longestRise(values: number[]): Set<number> {
  const ends: number[] = []
  const before: number[] = []
  values.forEach((value, at) => {
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((values[ends[middle] as number] as number) < value) low = middle + 1
      else high = middle
    }
    before[at] = low ? (ends[low - 1] as number) : -1
    ends[low] = at
  })
  const found = new Set<number>()
  for (let at = ends.at(-1) ?? -1; at >= 0; at = before[at] as number) found.add(at)
  return found
}
