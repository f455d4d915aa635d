/** The texts of sharing a shop. */
import type { Texts } from '../i18n/messages'

const zh = {
  share: {
    title: '共享给',
    text: '让同事处理这个店铺。Cookie、代理、删除和共享始终只有您可以改。',
    nobody: '还没有共享给任何人。',
    username: '用户名',
    right: '权限',
    rights: {
      read: '查看会话、订单、规则和设置',
      reply: '还可以发消息、接管会话、处理订单',
      operate: '还可以改开关、规则、回复和设置',
    },
    give: '共享',
    given: '{name} 现在可以{right}',
    rightOf: '{name} 的权限',
    take: '收回',
    takeOf: '收回 {name} 的权限',
    taken: '{name} 不再能看到这个店铺',
    inactive: '已停用',
    since: '自 {when}',
    noneText: '店主把店铺共享给您后，会出现在这里。',
    badge: '共享：{right}',
    only: '共享给您的店铺，您的权限是“{right}”。',
    needs: '需要“{right}”权限，请联系店主',
    ownerOnly: '只有店主可以',
  },
}

const en: Texts<typeof zh> = {
  share: {
    title: 'Shared with',
    text: 'Let colleagues work in this shop. The cookie, the proxy, removal and this list stay yours alone.',
    nobody: 'It is shared with nobody.',
    username: 'User name',
    right: 'May',
    rights: {
      read: 'See chats, orders, rules and settings',
      reply: 'Also send, take over chats, serve orders',
      operate: 'Also change switches, rules, replies, settings',
    },
    give: 'Share',
    given: '{name} may now: {right}',
    rightOf: 'What {name} may do',
    take: 'Take away',
    takeOf: 'Take the right of {name} away',
    taken: '{name} sees this shop no more',
    inactive: 'Deactivated',
    since: 'since {when}',
    noneText: 'As soon as an owner shares a shop with you, it stands here.',
    badge: 'Shared: {right}',
    only: 'This shop is shared with you; you may: {right}.',
    needs: 'Needs the right “{right}”: ask the owner',
    ownerOnly: 'Only for the owner',
  },
}

export const sharing = { zh, en }
