/** The texts of the overview. */
import type { Texts } from '../i18n/messages'

const zh = {
  overview: {
    shops: '店铺总数',
    running: '运行中',
    needHand: '需要处理',
    replies: '今日回复',
    messages: '今日消息',
    todo: '待处理',
    todoNone: '没有需要您处理的',
    todoNoneText:
      '需要验证、重新登录、反复连接失败或没有回复内容的店铺，以及需要处理的订单，会出现在这里，并给出下一步。',
    ordersWait: '{shown} 个订单需要处理',
    retried: '另有 {n} 家正在自动重试',
    changes: '最近变更',
    changesNone: '还没有变更',
    changesNoneText: '店铺设置的每次修改都会立即出现在这里。',
    recent: '最近消息',
    recentNone: '还没有消息',
    recentNoneText: '买家发来消息后，会连同回复一起出现在这里。',
    chart: '消息与回复',
    all: '查看全部',
    chartDay: '近 24 小时',
    chartWeek: '近 7 天',
    chartMessages: '消息',
    chartReplies: '回复',
    chartFailed: '未送达',
    chartAlt: '每小时的消息、回复和未送达数量',
    chartSummary: '共 {messages} 条消息，{replies} 条回复，{failed} 条未送达。',
  },
}

const en: Texts<typeof zh> = {
  overview: {
    shops: 'Shops',
    running: 'Running',
    needHand: 'Needs action',
    replies: 'Replies today',
    messages: 'Messages today',
    todo: 'To do',
    todoNone: 'Nothing needs your attention',
    todoNoneText:
      'Shops that need verification or a new login, keep failing, or have no replies set up, and orders that need action appear here with the next step.',
    ordersWait: '{shown} order needs action | {shown} orders need action',
    retried: '{n} shop is retrying by itself | {n} shops are retrying by themselves',
    changes: 'Recent changes',
    changesNone: 'No changes yet',
    changesNoneText: 'Changes to your shops appear here as they happen.',
    recent: 'Recent messages',
    recentNone: 'No messages yet',
    recentNoneText: 'Messages from buyers appear here with their replies.',
    chart: 'Messages and replies',
    all: 'View all',
    chartDay: '24 hours',
    chartWeek: '7 days',
    chartMessages: 'Messages',
    chartReplies: 'Replies',
    chartFailed: 'Not delivered',
    chartAlt: 'Messages, replies and failures per hour',
    chartSummary: '{messages} messages, {replies} replies, {failed} not delivered.',
  },
}

export const overview = { zh, en }
