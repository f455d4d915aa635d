/** The texts of the work in a conversation: its item and orders, pictures, quick replies, notes and states. */
import type { Texts } from '../i18n/messages'

const zh = {
  itemOf: '正在聊的商品',
  itemNoTitle: '商品 {id}',
  gone: '已下架',
  priceFrom: '{price} 起',
  ordersOf: '本会话的订单',
  allOrders: '全部订单',
  order: '订单 {id}：{state}',
  foundFar: '匹配的消息太早，未能定位，请点击“更早的消息”继续查找。',
}

const en: Texts<typeof zh> = {
  itemOf: 'Item in this conversation',
  itemNoTitle: 'Item {id}',
  gone: 'no longer for sale',
  priceFrom: 'from {price}',
  ordersOf: 'Orders in this conversation',
  allOrders: 'All orders',
  order: 'Order {id}: {state}',
  foundFar: 'The match is too far back to jump to. Use “Earlier messages” to keep looking.',
}

export const desk = { zh, en }
