/** The steps by which an order is served: what is in the way, and what its owner can have done. */
import type { Act, FullOrder, OrderAct } from '../common/api'

/** The order in which they are done. */
export const ACTS: Act[] = ['free_shipping', 'paid_message', 'confirm']

const SETTLED = new Set(['shipped', 'refunding', 'completed', 'cancelled'])
/** What a switch left undone. */
const SWITCHED_OFF = new Set(['auto_confirm_off', 'free_shipping_off', 'before_account'])

/** The step that "serve again" means where none is in the way, by what is so. */
const SERVED_BY: Record<string, Act[]> = {
  paid_without_card: ['paid_message'],
  group_not_ready: ['paid_message'],
  group_waiting: ['free_shipping'],
  group_without_card: ['free_shipping'],
}

/** Whether anything may still be done for it. */
export const isOpen = (order: FullOrder): boolean => !SETTLED.has(order.status)

const inTheWay = (act: OrderAct): boolean => act.state === 'failed' || act.state === 'uncertain'

/** The step that is in the way: its owner may say what became of it, also once the order has ended. */
export function stuckAct(order: FullOrder): OrderAct | undefined {
  if (order.problem?.code === 'one_text') return order.actions.find((act) => act.action === 'paid_message')
  const isToSettle = isOpen(order) || (order.problem && order.status !== 'refunding')
  return isToSettle ? order.actions.find(inTheWay) : undefined
}

/**
 * The steps that "serve again" means; none where there is nothing to serve. While the buyer's refund is open, they
 * are done only once the order's page shows that it has ended.
 */
export function actsToServe(order: FullOrder): Act[] {
  if (order.status === 'refunding') {
    const left = order.actions.filter((act) => inTheWay(act) || act.state === 'pending').map((act) => act.action)
    return left.length || order.actions.some((act) => act.action === 'paid_message') ? left : ['paid_message']
  }
  if (!isOpen(order)) return []
  const stuck = order.actions.filter(inTheWay).map((act) => act.action)
  if (stuck.length) return stuck
  return SERVED_BY[order.problem?.code ?? ''] ?? []
}

/** The rule that an order lacks, as far as the order says it. Nothing: it lacks another thing, or none. */
export function lackedRule(order: FullOrder): { item_id: string; spec: string } | null {
  const { problem, delivery, item_id } = order
  if (!problem || problem.resolved || !item_id) return null
  const spec = delivery?.spec ?? ''
  if (problem.code === 'no_paid_message') return { item_id, spec }
  return problem.code === 'unknown_spec' && typeof delivery?.spec === 'string' ? { item_id, spec } : null
}

/** Whether a step was left undone by a switch, and can be had all the same. */
export const canBeHad = (order: FullOrder, act: OrderAct): boolean =>
  isOpen(order) && act.state === 'not_needed' && SWITCHED_OFF.has(act.detail)

/** What follows a step once it succeeded, as the switches of the shop stand. */
export function nextAct(order: FullOrder, act: Act, switches: { auto_confirm: boolean }): Act | undefined {
  const next = ACTS[ACTS.indexOf(act) + 1]
  if (!next || order.actions.some((one) => one.action === next && one.state === 'done')) return undefined
  return next === 'confirm' && !switches.auto_confirm ? undefined : next
}
