import { expect, test } from 'vitest'
import { restOf, tagged, tagIn, tagsOf, withoutTags } from './tags'

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

test('the name above a remark is not repeated below it', () => {
  expect(restOf('木子数码 #数码', '木子数码')).toBe('')
  expect(restOf('阿福的闲置（网盘资料）', '阿福的闲置')).toBe('（网盘资料）')
  expect(restOf('小鱼：只卖电子书', '小鱼')).toBe('只卖电子书')
  expect(restOf('afu2 old phone', 'afu')).toBe('afu2 old phone')
  expect(restOf('只卖电子书', '小鱼')).toBe('只卖电子书')
})
