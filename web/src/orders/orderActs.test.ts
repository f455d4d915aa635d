import { expect, test } from 'vitest'
import type { FullOrder, OrderAct } from '../common/api'
import { actsToServe, canBeHad, lackedRule, nextAct, stuckAct } from './orderActs'

const act = (name: OrderAct['action'], state: OrderAct['state'], detail = ''): OrderAct => ({
  action: name,
  state,
  detail,
  since: '2026-01-02T03:04:05.000Z',
  settled_at: null,
})
const order = (status: FullOrder['status'], acts: OrderAct[], code?: string): FullOrder =>
  ({ status, actions: acts, problem: code ? { code, detail: '', do: '' } : null }) as FullOrder

test('failed and uncertain steps are retried, as long as the order is open', () => {
  const acts = [act('free_shipping', 'done'), act('paid_message', 'uncertain')]
  expect(actsToServe(order('pending_ship', acts, 'message_uncertain'))).toEqual(['paid_message'])
  expect(stuckAct(order('pending_ship', acts))?.action).toBe('paid_message')
  for (const status of ['shipped', 'completed', 'cancelled'] as const) {
    expect(actsToServe(order(status, acts, 'refund_asked'))).toEqual([])
    expect(stuckAct(order(status, acts))).toBeUndefined()
    expect(stuckAct(order(status, acts, 'message_uncertain'))?.action).toBe('paid_message')
  }
})

test('an order whose refund is open can be served: its page decides whether the refund has ended', () => {
  const refunding = (acts: OrderAct[]) => actsToServe(order('refunding', acts, 'refund_asked'))
  expect(refunding([])).toEqual(['paid_message'])
  expect(refunding([act('paid_message', 'pending')])).toEqual(['paid_message'])
  expect(refunding([act('paid_message', 'done'), act('confirm', 'pending')])).toEqual(['confirm'])
  expect(refunding([act('paid_message', 'done'), act('confirm', 'done')])).toEqual([])
  expect(stuckAct(order('refunding', [act('paid_message', 'uncertain')]))).toBeUndefined()
})

test('an order whose card never came has no step to settle, but one to serve', () => {
  const lost = order('pending_ship', [], 'paid_without_card')
  expect([actsToServe(lost), stuckAct(lost)]).toEqual([['paid_message'], undefined])
  expect(actsToServe(order('processing', []))).toEqual([])
})

test('what a switch left undone can be had; what the site made needless cannot', () => {
  const off = act('confirm', 'not_needed', 'auto_confirm_off')
  expect(canBeHad(order('pending_ship', [off]), off)).toBe(true)
  expect(canBeHad(order('shipped', [off]), off)).toBe(false)
  const needless = act('confirm', 'not_needed', 'already_shipped')
  expect(canBeHad(order('pending_ship', [needless]), needless)).toBe(false)
})

test('the next step is shown by the current switches', () => {
  const open = order('pending_ship', [act('paid_message', 'failed')])
  expect(nextAct(open, 'paid_message', { auto_confirm: true })).toBe('confirm')
  expect(nextAct(open, 'paid_message', { auto_confirm: false })).toBeUndefined()
  expect(nextAct(open, 'confirm', { auto_confirm: true })).toBeUndefined()
})

test('the rule that an order lacks is for its item and spec, where the spec is known', () => {
  const lacks = (code: string, spec: string | null, resolved = false, item_id: string | null = '7') =>
    lackedRule({ item_id, problem: { code, detail: '', do: '', resolved }, delivery: { spec } } as FullOrder)
  expect(lacks('unknown_spec', '时长:月卡')).toEqual({ item_id: '7', spec: '时长:月卡' })
  expect(lacks('unknown_spec', '')).toEqual({ item_id: '7', spec: '' })
  expect(lacks('no_paid_message', null)).toEqual({ item_id: '7', spec: '' })
  expect(lacks('unknown_spec', null)).toBeNull()
  expect(lacks('unknown_spec', '时长:月卡', true)).toBeNull()
  expect(lacks('no_paid_message', '', false, null)).toBeNull()
  expect(lacks('out_of_stock', '时长:月卡')).toBeNull()
})
