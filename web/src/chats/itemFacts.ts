/** What a conversation is about, in a few words: the price of its item, and how its orders stand. */
import type { Order } from '../common/api'
import type { components } from '../common/schema'
import type { Tone } from '../common/ui/ToneMark.vue'

export type ItemPage = components['schemas']['ItemPageShape']

/** Write an amount in fen as yuan, without the zeros that say nothing. */
export function yuan(fen: number): string {
  return `¥${(fen / 100).toFixed(2).replace(/\.00$/, '')}`
}

/** The price of an item, or the lowest one of its specs; `from` tells that it is the lowest of several. */
export function priceOf(page: ItemPage): { price: string; isFrom: boolean } | null {
  if (page.price_fen !== null) return { price: yuan(page.price_fen), isFrom: false }
  const prices = page.specs.map((spec) => spec.price_fen)
  if (!prices.length) return null
  return { price: yuan(Math.min(...prices)), isFrom: new Set(prices).size > 1 }
}

const OPEN = new Set<Order['status']>(['group_pending', 'pending_ship', 'refunding'])
const DONE = new Set<Order['status']>(['shipped', 'completed'])

/** The colour of an order: red where somebody is needed, amber while it is open. */
export function orderTone(order: Order): Tone {
  if (order.problem) return 'bad'
  if (OPEN.has(order.status)) return 'warn'
  return DONE.has(order.status) ? 'good' : 'muted'
}
