import { expect, test } from 'vitest'
import { tagsOf, withoutTags } from './tags'

test('words that begin with # are tags, the rest is the remark', () => {
  const remark = '小鱼杂货铺 #电子书  #主力 #电子书'
  expect(tagsOf(remark)).toEqual(['电子书', '主力'])
  expect(withoutTags(remark)).toBe('小鱼杂货铺')
})

test('a # within a word or alone is no tag', () => {
  expect(tagsOf('C# 教程 # 1')).toEqual([])
  expect(withoutTags('C# 教程')).toBe('C# 教程')
  expect(tagsOf('')).toEqual([])
})
