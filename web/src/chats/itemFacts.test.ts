import { expect, test } from 'vitest'
import type { Order } from '../common/api'
import { type Item, orderTone, priceOf, yuan } from './itemFacts'

test('an amount is written in yuan, exact to the fen', () => {
  expect([yuan(2500), yuan(2550), yuan(9), yuan(0)]).toEqual(['¥25', '¥25.50', '¥0.09', '¥0'])
})

test('a price that is not known is not shown, and nothing is a price', () => {
  const item = (price: number | null) => ({ price_fen: price }) as Item
  expect([priceOf(item(1000)), priceOf(item(0)), priceOf(item(null)), priceOf(null)]).toEqual(['¥10', '¥0', '', ''])
})

test('an order that needs somebody is red whatever its state', () => {
  const order = (status: Order['status'], rest: Partial<Order> = {}) => orderTone({ status, ...rest } as Order)
  expect(order('shipped', { problem: {} as Order['problem'] })).toBe('bad')
  expect([order('pending_ship'), order('completed'), order('cancelled')]).toEqual(['warn', 'good', 'muted'])
})
