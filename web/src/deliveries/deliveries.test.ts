import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
const { changesBetween, changeText, confirmOf, detailOf, NEW_RULE, ordersOf, contentOf, targetOf, withRule } =
  await import('./deliveries')

const MONTH = { ...NEW_RULE, item_id: '1', spec: '时长:月卡', parts: [{ text: 'month' }] }
const ALL = { ...NEW_RULE, parts: [{ text: 'all' }] }

test('a rule names its orders and what it sends', () => {
  expect([ordersOf(MONTH), targetOf(MONTH), contentOf(MONTH, undefined)]).toEqual(['1', 'item', 'month'])
  expect([ordersOf(ALL), targetOf(ALL)]).toEqual(['Every item', 'all'])
  expect(targetOf({ ...ALL, title_contains: 'vip' })).toBe('title')
  expect(contentOf({ ...ALL, goods_id: 7, count: 2 }, 'Codes')).toBe('Codes, 2 for each piece · all')
  expect(contentOf({ ...ALL, nothing_to_send: true }, undefined)).toBe('Sends nothing')
})

test('an item is shown by its title where that is known, with its number below', () => {
  const known = [{ item_id: '1', title: 'Member card' }]
  expect([ordersOf(MONTH, known), detailOf(MONTH, known)]).toEqual(['Member card', '1 · 时长:月卡'])
  expect([ordersOf(MONTH), detailOf(MONTH)]).toEqual(['1', '时长:月卡'])
  expect(detailOf({ ...ALL, title_contains: 'vip' }, known)).toBe('')
})

test('a confirmation is unset, yes, no or later', () => {
  expect(
    [null, 'yes' as const, 'no' as const, { after_hours: 2 }].map((confirm) => confirmOf({ ...ALL, confirm })),
  ).toEqual(['shop', 'yes', 'no', 'later'])
})

test('what a file would change is shown rule by rule', () => {
  const edited = { ...MONTH, parts: [{ text: 'new' }] }
  const added = { ...MONTH, item_id: '2' }
  expect(changesBetween([MONTH, ALL], [edited, added])).toEqual([
    { kind: 'edited', rule: edited, before: MONTH },
    { kind: 'added', rule: added },
    { kind: 'removed', rule: ALL },
  ])
  expect(changesBetween([MONTH, ALL], [ALL, { ...MONTH }])).toEqual([])
  const texts = changesBetween([MONTH, ALL], [edited, { ...ALL, delay_seconds: 5, confirm: { after_hours: 2 } }])
  expect(texts.map((change) => changeText(change, () => undefined))).toEqual([
    'month → new',
    'Delay (s): 0 → 5 · Confirm shipment: As the shop’s switch says → Some hours later 2',
  ])
})

test('a rule takes the place of the one for the same orders', () => {
  const other = { ...MONTH, parts: [{ text: 'new' }] }
  expect(withRule([MONTH, ALL], null, other)).toEqual([ALL, other])
  expect(withRule([MONTH, ALL], ALL, other)).toEqual([other])
  expect(withRule([MONTH, ALL], MONTH, null)).toEqual([ALL])
})

test('a rule that somebody else changed or removed since it was shown is neither replaced nor removed', () => {
  const theirs = { ...MONTH, parts: [{ text: 'theirs' }] }
  for (const mine of [{ ...MONTH, parts: [{ text: 'mine' }] }, null]) {
    expect(() => withRule([theirs, ALL], MONTH, mine)).toThrow('Somebody has changed this rule')
    expect(() => withRule([ALL], MONTH, mine)).toThrow('Somebody has changed this rule')
    expect(withRule([{ ...MONTH }, ALL], MONTH, mine)).toEqual(mine ? [ALL, mine] : [ALL])
  }
})
