import { expect, test } from 'vitest'
import type { Account } from '../common/api'
import { arranged, needsHand, todoOf } from './arrange'

function account(id: string, more: Partial<Account> = {}): Account {
  return {
    id,
    unb: `22000000${id.length}`,
    remark: '',
    enabled: true,
    state: 'running',
    answers: 'messages',
    ...more,
    desired: { keyword_count: 0, ...more.desired },
    observed: { crash_loop: false, last_message_at: null, ...more.observed },
  } as Account
}

const names = (list: Account[]): string[] => list.map((one) => one.id)

test('every word must be found in the id, the remark or the seller', () => {
  const list = [account('books', { remark: '拾光书屋' }), account('phones', { remark: '木子数码 iPhone' })]
  expect(names(arranged(list, 'all', 'IPHONE 木子', 'shop', false))).toEqual(['phones'])
  expect(names(arranged(list, 'all', 'iphone 拾光', 'shop', false))).toEqual([])
  expect(names(arranged(list, 'all', '  ', 'shop', false))).toEqual(['books', 'phones'])
})

test('a shop needs a hand when it is parked, or fails again and again while it is wanted', () => {
  const looping = { observed: { crash_loop: true } as Account['observed'], state: 'retrying' as const }
  const list = [
    account('a'),
    account('b', { state: 'parked' }),
    account('c', looping),
    account('d', { ...looping, enabled: false }),
  ]
  expect(names(arranged(list, 'hand', '', 'shop', false))).toEqual(['b', 'c'])
  expect(names(arranged(list, 'off', '', 'shop', false))).toEqual(['d'])
})

test('a running shop with nothing to say is none of the running ones, and needs a hand', () => {
  const list = [
    account('answers'),
    account('mute', { answers: 'nothing' }),
    account('serves', { answers: 'orders' }),
    account('off', { answers: 'nothing', state: 'stopped', enabled: false }),
    account('parked', { answers: 'nothing', state: 'parked' }),
  ]
  expect(names(arranged(list, 'running', '', 'shop', false))).toEqual(['answers'])
  expect(names(arranged(list, 'mute', '', 'shop', false))).toEqual(['mute', 'serves'])
  expect(names(arranged(list, 'hand', '', 'shop', false))).toEqual(['mute', 'parked'])
  expect(names(todoOf(list))).toEqual(['parked', 'mute'])
  expect(names(arranged(list, 'all', '', 'state', false)).slice(0, 3)).toEqual(['parked', 'mute', 'serves'])
})

test('what is to be done begins with what only an owner can mend, and leaves out what is tried again by itself', () => {
  const list = [
    account('a', { state: 'retrying' }),
    account('b'),
    account('c', { state: 'retrying', observed: { crash_loop: true } as Account['observed'] }),
    account('d', { state: 'parked' }),
    account('e', { state: 'stopping', enabled: false }),
  ]
  expect(names(todoOf(list))).toEqual(['d', 'c'])
  expect(todoOf(list)).toHaveLength(list.filter(needsHand).length)
})

test('by state the most urgent comes first, and equals keep the order of their names', () => {
  const list = [account('a'), account('b', { state: 'retrying' }), account('c'), account('d', { state: 'parked' })]
  expect(names(arranged(list, 'all', '', 'state', false))).toEqual(['d', 'b', 'a', 'c'])
  expect(names(arranged(list, 'all', '', 'state', true))).toEqual(['c', 'a', 'b', 'd'])
})

test('who never had a message comes after who had one', () => {
  const at = (moment: string): Partial<Account> => ({ observed: { last_message_at: moment } as Account['observed'] })
  const list = [account('a'), account('b', at('2026-01-02T00:00:00Z')), account('c', at('2026-01-03T00:00:00Z'))]
  expect(names(arranged(list, 'all', '', 'message', false))).toEqual(['c', 'b', 'a'])
})
