/** Which part of a line is dashed: the way to a span of time that is still running. */

type Values = (number | null)[]

/** Whether the last of these spans is still running: what it counts is not all that it will. */
export function isRunning(times: string[], now: number): boolean {
  const [before, last] = times.slice(-2).map((time) => Date.parse(time))
  return before !== undefined && last !== undefined && now < last + (last - before)
}

/** A line up to the last span that is over, and the way from there to the one that runs. */
export function halves(values: Values, running: boolean): [whole: Values, dashed: Values] {
  if (!running || values.at(-1) === null) return [values, []]
  return [[...values.slice(0, -1), null], values.map((value, at) => (at < values.length - 2 ? null : value))]
}
