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
    todoNone: '没有需要您处理的店铺',
    todoNoneText: '店铺需要验证、重新登录、反复连接失败，或者没有可用的回复时，会出现在这里，并告诉您下一步。',
    changes: '最近变更',
    changesNone: '还没有变更',
    changesNoneText: '任何人修改店铺的设置，都会立即出现在这里。',
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
    needHand: 'Need you',
    replies: 'Replies today',
    messages: 'Messages today',
    todo: 'To do',
    todoNone: 'No shop needs you',
    todoNoneText:
      'Shops that need a check or a new login, fail again and again, or have nothing to answer with appear here, each with its next step.',
    changes: 'Recent changes',
    changesNone: 'No changes yet',
    changesNoneText: 'Whatever anybody changes about a shop appears here at once.',
    recent: 'Recent messages',
    recentNone: 'No messages yet',
    recentNoneText: 'What buyers write appears here, together with the replies.',
    chart: 'Messages and replies',
    all: 'See all',
    chartDay: '24 hours',
    chartWeek: '7 days',
    chartMessages: 'Messages',
    chartReplies: 'Replies',
    chartFailed: 'Not delivered',
    chartAlt: 'Messages, replies and failures per hour',
    chartSummary: 'Messages: {messages}. Replies: {replies}. Not delivered: {failed}.',
  },
}

export const overview = { zh, en }
