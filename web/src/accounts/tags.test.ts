import { expect, test } from 'vitest'
import { tagged, tagIn, tagsOf, withoutTags } from './tags'

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

test('a tag is put at the end of a remark and taken out of it, once', () => {
  expect(tagged('小鱼', '主力', true)).toBe('小鱼 #主力')
  expect(tagged('', '主力', true)).toBe('#主力')
  expect(tagged('小鱼 #主力', '主力', true)).toBe('小鱼 #主力')
  expect(tagged('#主力 小鱼 #主力军 #主力', '主力', false)).toBe('小鱼 #主力军')
  expect(tagged('小鱼', '主力', false)).toBe('小鱼')
})

test('what is typed is a tag with or without its #', () => {
  expect(['#主力', ' 主力 ', 'a b', '#', ''].map(tagIn)).toEqual(['主力', '主力', '', '', ''])
})
