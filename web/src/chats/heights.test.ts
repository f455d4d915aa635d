import { expect, test } from 'vitest'
import { beginOf, Heights, spanOf } from './heights'

const keys = Array.from({ length: 5_000 }, (_, n) => `m${n}`)

function measured(height: (n: number) => number): Heights {
  const heights = new Heights()
  keys.forEach((key, n) => {
    heights.note(key, height(n))
  })
  return heights
}

test('only the rows near the view are drawn, and the room of the others is kept', () => {
  const heights = measured(() => 50)
  const span = spanOf(keys, heights, 100_000, 100_600)
  expect(span).toEqual({ from: 2_000, to: 2_012, above: 100_000, below: (5_000 - 2_012) * 50 })
})

test('drawn rows and the room around them are together as high as all rows, wherever the view is', () => {
  const heights = measured((n) => 40 + (n % 7) * 13)
  const whole = beginOf(keys, heights, keys.length)
  for (const top of [-500, 0, 1, 777, 99_999, whole - 10, whole + 500]) {
    const { from, to, above, below } = spanOf(keys, heights, top, top + 900)
    const drawn = keys.slice(from, to).reduce((sum, key) => sum + heights.of(key), 0)
    expect(above + drawn + below).toBe(whole)
    expect(to).toBeGreaterThan(from)
  }
})

test('rows that were not measured are taken for average, which is renewed when twice as many were measured', () => {
  const heights = new Heights()
  heights.note('m1', 100)
  heights.note('m2', 200)
  expect(heights.of('m9')).toBe(150)
  expect(heights.note('m2', 200)).toBe(false)
  expect(heights.note('m2', 300)).toBe(true)
  heights.note('m3', 200)
  expect(heights.of('m9')).toBe(150)
  heights.note('m4', 400)
  expect(heights.of('m9')).toBe(250)
  heights.forget()
  heights.note('m1', 80)
  expect(heights.of('m9')).toBe(80)
})

test('no rows are no span', () => {
  expect(spanOf([], new Heights(), 0, 500)).toEqual({ from: 0, to: 0, above: 0, below: 0 })
})
