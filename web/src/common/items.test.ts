import { expect, test } from 'vitest'
import { itemIdIn } from './items'

test.each([
  ['700000000001', '700000000001'],
  ['  700000000001 ', '700000000001'],
  ['https://www.goofish.com/item?spm=a1&id=700000000001&categoryId=2', '700000000001'],
  ['https://h5.m.goofish.com/item?id=7', '7'],
  ['https://www.goofish.com/item?itemId=42#top', '42'],
  ['https://www.goofish.com/item?grid=1', ''],
  ['not an id', ''],
  ['', ''],
])('of “%s” the id is “%s”', (text, id) => {
  expect(itemIdIn(text)).toBe(id)
})
