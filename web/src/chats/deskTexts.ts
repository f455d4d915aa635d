/** The texts of the work in a conversation: its item and orders, pictures, quick replies, notes and states. */
import type { Texts } from '../i18n/messages'

const zh = {
  itemOf: '正在聊的商品',
  itemNoTitle: '商品 {id}',
  openRules: '查看自动回复规则',
  ordersOf: '本会话的订单',
  allOrders: '全部订单',
  order: '订单 {id}：{state}',
  foundFar: '匹配的消息太早，未能定位，请点击“更早的消息”继续查找。',

  pictures: '待发送的图片',
  addPicture: '添加图片',
  dropHere: '松开即可添加图片',
  uploading: '上传 {share}',
  dropPicture: '移除图片 {name}',
  refused: {
    type: '“{name}”不是可发送的图片（支持 JPEG、PNG、WebP、GIF）。',
    size: '“{name}”超过 5 MB，无法发送。',
    empty: '“{name}”是空文件。',
    many: '一次最多发送 {n} 张图片。',
  },
}

const en: Texts<typeof zh> = {
  itemOf: 'Item in this conversation',
  itemNoTitle: 'Item {id}',
  openRules: 'Open reply rules',
  ordersOf: 'Orders in this conversation',
  allOrders: 'All orders',
  order: 'Order {id}: {state}',
  foundFar: 'The match is too far back to jump to. Use “Earlier messages” to keep looking.',

  pictures: 'Pictures to send',
  addPicture: 'Add pictures',
  dropHere: 'Drop to add pictures',
  uploading: 'Uploading {share}',
  dropPicture: 'Remove picture {name}',
  refused: {
    type: '“{name}” can’t be sent as a picture. Use JPEG, PNG, WebP or GIF.',
    size: '“{name}” is larger than 5 MB.',
    empty: '“{name}” is empty.',
    many: 'You can send up to {n} picture at once. | You can send up to {n} pictures at once.',
  },
}

export const desk = { zh, en }
