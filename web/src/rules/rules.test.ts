import { expect, test } from 'vitest'
import type { Rule } from '../common/api'
import { moved, NEW_RULE } from './rules'

const rule = (id: string, priority = 0, item = ''): Rule => ({
  ...NEW_RULE,
  id,
  words: [id],
  priority,
  item_ids: item ? [item] : [],
  hits: 0,
  last_hit_at: null,
})

test('a rule moves among those of its kind, and the others keep their order', () => {
  const to = moved([rule('a'), rule('i', 0, '7'), rule('b'), rule('c')], 'c', 0)
  expect(to.ids.filter((id) => id !== 'i')).toEqual(['c', 'a', 'b'])
  expect(to.priorities).toEqual({})
})

test('a rule that is dropped among others takes their priority as far as it must', () => {
  const list = [rule('high', 9), rule('item', 5, '7'), rule('low', 1)]
  const up = moved(list, 'low', 0)
  expect(up.ids).toEqual(['low', 'high', 'item'])
  expect(up.priorities).toEqual({ low: 9 })
  const down = moved(list, 'high', 1)
  expect(down.ids).toEqual(['item', 'low', 'high'])
  expect(down.priorities).toEqual({ high: 1 })
})
