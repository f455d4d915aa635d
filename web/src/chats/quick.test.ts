import { expect, test } from 'vitest'
import { filled, fitting, hasGaps, joinedTo, type QuickReply, slashed } from './quick'

const facts = { buyer: '豆豆妈', item: '蓝牙耳机', price: '¥25', shop: '' }
const reply = (id: number, shortcut: string, text: string) => ({ id, shortcut, text }) as QuickReply

test('variables are filled, and one that is not known stays to be seen', () => {
  const text = filled('{buyer}您好，{item}{price}，{shop} {other}', facts)
  expect(text).toBe('豆豆妈您好，蓝牙耳机¥25，{shop} {other}')
  expect(hasGaps(text)).toBe(true)
  expect(hasGaps(filled('{buyer}', facts))).toBe(false)
})

test('what a buyer is called fills in as it is', () => {
  expect(filled('{buyer}', { ...facts, buyer: '$& {item}' })).toBe('$& {item}')
})

test('a slash at the beginning looks for quick replies until a space or a second slash', () => {
  expect([slashed('/'), slashed('/fh'), slashed('/fh '), slashed('a/b'), slashed('//'), slashed('')]).toEqual([
    '',
    'fh',
    null,
    null,
    null,
    null,
  ])
})

test('shortcuts go before words of the text', () => {
  const all = [reply(1, 'x', '发货 fh'), reply(2, 'fhk', '明天'), reply(3, 'fh', '今天'), reply(4, 'afh', '')]
  expect(fitting(all, 'FH').map((one) => one.id)).toEqual([3, 2, 4, 1])
  expect(fitting(all, '').map((one) => one.id)).toEqual([1, 2, 3, 4])
  expect(fitting(all, 'zz')).toEqual([])
})

test('a quick reply takes the place of its search, and stands after other words', () => {
  expect(joinedTo('/fh', '今天发')).toBe('今天发')
  expect(joinedTo(' ', '今天发')).toBe('今天发')
  expect(joinedTo('您好\n', '今天发')).toBe('您好\n今天发')
})
