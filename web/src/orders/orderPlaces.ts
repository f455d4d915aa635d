/** Where what an order needs is mended: the rules or settings of its shop, its goods, or the chat with its buyer. */
import type { FullOrder } from '../common/api'
import type { components } from '../common/schema'
import { t } from '../i18n'

type Where = 'deliveries' | 'settings' | 'goods' | 'chat'

const PLACES: Partial<Record<components['schemas']['OrderProblem'], Where>> = {
  message_refused: 'deliveries',
  no_paid_message: 'deliveries',
  unknown_title: 'deliveries',
  unknown_spec: 'deliveries',
  ambiguous_rule: 'deliveries',
  unknown_goods: 'deliveries',
  no_codes_in_text: 'deliveries',
  codes_without_goods: 'deliveries',
  too_many_units: 'deliveries',
  too_many_messages: 'deliveries',
  message_too_long: 'deliveries',
  delivery_off: 'settings',
  group_waiting: 'settings',
  goods_off: 'goods',
  out_of_stock: 'goods',
  supplier_refused: 'goods',
  supplier_unreachable: 'goods',
  supplier_uncertain: 'goods',
  unit_lost: 'goods',
  message_uncertain: 'chat',
  uncertain_before: 'chat',
  delivery_partly: 'chat',
  before_start: 'chat',
  before_restore: 'chat',
  one_text: 'chat',
}

/** The link to where the problem of an order is mended, if there is a page for it. Goods are their owner's. */
export function placeOf({ account, chat_id, delivery, problem }: FullOrder, mayOwn: boolean) {
  const where = problem && !problem.resolved && PLACES[problem.code]
  const to = {
    deliveries: { name: 'account-deliveries', params: { id: account } },
    settings: { name: 'account-settings', params: { id: account } },
    goods: mayOwn && delivery?.goods_name && { name: 'stock-goods', params: { id: delivery.goods_id } },
    chat: chat_id && { name: 'conversations', params: { account, chat: chat_id } },
  }[where || 'goods']
  return where && to ? { label: t(`orders.places.${where}`), to } : null
}
