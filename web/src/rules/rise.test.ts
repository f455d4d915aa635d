import { describe, expect, it } from 'vitest'
import { longestRise } from './rise'

describe('the fewest that must have moved', () => {
  const moved = (values: number[]): number[] => {
    const stayed = longestRise(values)
    return values.filter((_, at) => !stayed.has(at))
  }

  it('is empty when the order is the same', () => {
    expect(moved([])).toEqual([])
    expect(moved([0, 1, 2, 3])).toEqual([])
  })

  it('is the one that was carried up or down', () => {
    expect(moved([3, 0, 1, 2])).toEqual([3])
    expect(moved([1, 2, 3, 0])).toEqual([0])
    expect(moved([0, 3, 1, 2, 4])).toEqual([3])
  })

  it('is all but one when the order was turned round', () => {
    expect(moved([3, 2, 1, 0])).toHaveLength(3)
  })
})
