import { expect, test } from 'vitest'
import type { Order } from '../common/api'
import { type ItemPage, orderTone, priceOf, yuan } from './itemFacts'

const page = (price: number | null, ...specs: number[]): ItemPage =>
  ({ price_fen: price, specs: specs.map((one) => ({ name: 'x', price_fen: one, left: null })) }) as ItemPage

test('an amount is written in yuan, exact to the fen', () => {
  expect([yuan(2500), yuan(2550), yuan(9), yuan(0)]).toEqual(['¥25', '¥25.50', '¥0.09', '¥0'])
})

test('the price is that of the item, or the lowest of its specs', () => {
  expect(priceOf(page(1000, 500))).toEqual({ price: '¥10', isFrom: false })
  expect(priceOf(page(null, 900, 500))).toEqual({ price: '¥5', isFrom: true })
  expect(priceOf(page(null, 500, 500))).toEqual({ price: '¥5', isFrom: false })
  expect(priceOf(page(null))).toBeNull()
})

test('an order that needs somebody is red whatever its state', () => {
  const order = (status: Order['status'], rest: Partial<Order> = {}) => orderTone({ status, ...rest } as Order)
  expect(order('shipped', { problem: {} as Order['problem'] })).toBe('bad')
  expect([order('pending_ship'), order('completed'), order('cancelled')]).toEqual(['warn', 'good', 'muted'])
})
