import { expect, test } from 'vitest'
import { factsOf, MOST_FACTS } from './factLines'

test('lines of a spreadsheet, and of people, become questions and answers', () => {
  const pasted =
    '包邮吗\t满 30 包邮\n多久发货？当天\r\n几号电池: 5 号\n网盘｜百度：链接 https://pan.example\n\n尺码?S、M'
  expect(factsOf(pasted, []).facts).toEqual([
    { question: '包邮吗', answer: '满 30 包邮' },
    { question: '多久发货？', answer: '当天' },
    { question: '几号电池', answer: '5 号' },
    { question: '网盘', answer: '百度：链接 https://pan.example' },
    { question: '尺码?', answer: 'S、M' },
  ])
})

test('a line that gives no fact is listed with its number and why', () => {
  const pasted = `只有一句\n\n包邮吗：包\n包邮吗：不包\n长\t${'字'.repeat(501)}\nhttps://example.com\n\t没有问题`
  expect(factsOf(pasted, []).bad.map(({ line, fault }) => [line, fault])).toEqual([
    [1, 'noAnswer'],
    [4, 'twice'],
    [5, 'long'],
    [6, 'noAnswer'],
    [7, 'noAnswer'],
  ])
})

test('no more are taken than a shop may have, and what it has already is listed', () => {
  const known = Array.from({ length: MOST_FACTS - 1 }, (_, n) => ({ question: `问${n}`, answer: '答' }))
  const { facts, bad } = factsOf('问1：新\n一：1\n二：2', known)
  expect(facts).toEqual([{ question: '一', answer: '1' }])
  expect(bad.map(({ line, fault }) => [line, fault])).toEqual([
    [1, 'twice'],
    [3, 'tooMany'],
  ])
})

test('an emoji counts as one character, as on the server', () => {
  expect(factsOf(`好\t${'👍'.repeat(500)}`, []).facts).toHaveLength(1)
})
