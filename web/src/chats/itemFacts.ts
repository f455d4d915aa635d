/** What a conversation is about, in a few words: the price of its item, and how its orders stand. */
import type { Order } from '../common/api'
import type { components } from '../common/schema'
import type { Tone } from '../common/ui/ToneMark.vue'

export type Item = components['schemas']['ItemCard']

/** Write an amount in fen as yuan, without the zeros that say nothing. */
export function yuan(fen: number): string {
  return `¥${(fen / 100).toFixed(2).replace(/\.00$/, '')}`
}

/** The price of an item; empty when it is not known. */
export const priceOf = (item: Item | null): string => (item?.price_fen == null ? '' : yuan(item.price_fen))

const OPEN = new Set<Order['status']>(['group_pending', 'pending_ship', 'refunding'])
const DONE = new Set<Order['status']>(['shipped', 'completed'])

/** The colour of an order: red where somebody is needed, amber while it is open. */
export function orderTone(order: Order): Tone {
  if (order.problem) return 'bad'
  if (OPEN.has(order.status)) return 'warn'
  return DONE.has(order.status) ? 'good' : 'muted'
}
