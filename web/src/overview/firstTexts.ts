/** The texts of the first steps on an empty server. */
import type { Texts } from '../i18n/messages'

const zh = {
  welcome: '欢迎使用 Shoal',
  lead: '四步之后，店铺就会自己回复买家。您只需要一部已登录闲鱼的手机，用来扫码。',
  title: '开始使用',
  progress: '已完成 {done} / {all}',
  hide: '收起，不再显示',
  shop: { title: '添加店铺', text: '用闲鱼 App 扫码登录，几秒就能连上。', go: '扫码添加' },
  answers: { title: '设置回复', text: '选几条常用模板，或和已有店铺一样。', go: '设置回复' },
  try: { title: '试一句', text: '像买家那样问一句，看会怎么回。不会真的发送。', go: '去试试' },
  on: { title: '开始回复', text: '店铺启用并连接后，新消息就会自动回复。', go: '查看店铺' },
  done: '已完成',
  over: '店铺已经在自动回复。接下来：',
  toNotices: '手机接收通知',
  toDeliveries: '付款后自动发货',
}

const en: Texts<typeof zh> = {
  welcome: 'Welcome to Shoal',
  lead: 'Four steps, and your shop answers buyers by itself. All you need is a phone that is signed in to Xianyu.',
  title: 'Getting started',
  progress: '{done} of {all} done',
  hide: 'Hide and don’t show again',
  shop: {
    title: 'Add a shop',
    text: 'Sign in by scanning a code with the Xianyu app. It connects in seconds.',
    go: 'Scan to add',
  },
  answers: {
    title: 'Set up replies',
    text: 'Pick a few common templates, or copy those of another shop.',
    go: 'Set up replies',
  },
  try: { title: 'Try it', text: 'Ask as a buyer would and see the reply. Nothing is sent.', go: 'Try it' },
  on: {
    title: 'Go live',
    text: 'Once the shop is on and connected, new messages are answered automatically.',
    go: 'Open shop',
  },
  done: 'Done',
  over: 'Your shop now answers buyers by itself. Next you can:',
  toNotices: 'Get notices on your phone',
  toDeliveries: 'Deliver automatically after payment',
}

export const firstSteps = { zh, en }
