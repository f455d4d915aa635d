import { expect, test } from 'vitest'
import { joined } from './joined'

const kind = { key: (row: { id: string; at: number }) => row.id, place: (row: { at: number }) => row.at }
const rows = (text: string) =>
  text
    .split(' ')
    .filter(Boolean)
    .map((one) => ({ id: one[0] ?? '', at: Number(one.slice(1)) }))
const join = (known: string, page: string, next: string | null = 'page', cursor: string | null = 'known') => {
  const whole = joined({ items: rows(known), next: cursor }, { items: rows(page), next }, kind)
  return [whole.items.map((row) => `${row.id}${row.at}`).join(' '), whole.next]
}

test('what is new stands before what was loaded beyond the first page', () => {
  expect(join('c3 b2 a1', 'd4 c3')).toEqual(['d4 c3 b2 a1', 'known'])
  expect(join('c3 b2 a1', 'd4 c3', 'page', null)).toEqual(['d4 c3 b2 a1', null])
})

test('what went from the page goes from the list, and what moved up is not shown twice', () => {
  expect(join('c3 b2 a1', 'c3 a1', null)).toEqual(['c3 a1', null])
  expect(join('c3 b2 a1', 'a5 c3')).toEqual(['a5 c3 b2', 'known'])
})

test('where the page does not reach what was known, the list begins again', () => {
  expect(join('b2 a1', 'f6 e5')).toEqual(['f6 e5', 'page'])
  expect(join('b2 a1', 'b7 f6')).toEqual(['b7 f6', 'page'])
  expect(join('', 'b2 a1')).toEqual(['b2 a1', 'page'])
})

test('rows of the same moment stay', () => {
  expect(join('c3 b2 a2', 'c3 b2')).toEqual(['c3 b2 a2', 'known'])
})
