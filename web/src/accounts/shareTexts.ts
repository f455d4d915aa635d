/** The texts of sharing a shop. */
import type { Texts } from '../i18n/messages'

const zh = {
  share: {
    title: '共享给',
    text: '让同事一起管理这个店铺。更换 Cookie、设置代理、删除和共享仍只有您能操作。',
    none: '还没有共享给任何人。',
    username: '用户名',
    permission: '权限',
    permissions: {
      read: '查看会话、订单、规则和设置',
      reply: '还可以发消息、接管会话、处理订单',
      operate: '还可以改开关、规则、回复和设置',
    },
    give: '共享',
    given: '{name} 现在可以{permission}',
    permissionOf: '{name} 的权限',
    take: '收回',
    takeOf: '收回 {name} 的权限',
    taken: '{name} 不再能看到这个店铺',
    inactive: '已停用',
    since: '{when}起',
    noneText: '店主把店铺共享给您后，会出现在这里。',
    badge: '共享：{permission}',
    only: '共享给您的店铺，您的权限是“{permission}”。',
    needs: '需要“{permission}”权限，请联系店主',
    ownerOnly: '仅店主可操作',
  },
}

const en: Texts<typeof zh> = {
  share: {
    title: 'Shared with',
    text: 'Let colleagues work in this shop. Only you can change the cookie, the proxy and this list, or remove the shop.',
    none: 'Not shared with anyone.',
    username: 'User name',
    permission: 'Permission',
    permissions: {
      read: 'View chats, orders, rules and settings',
      reply: 'Also send messages, take over chats, handle orders',
      operate: 'Also change switches, rules, replies and settings',
    },
    give: 'Share',
    given: '{name} now has: {permission}',
    permissionOf: 'Permission of {name}',
    take: 'Remove',
    takeOf: 'Remove access of {name}',
    taken: '{name} no longer has access',
    inactive: 'Deactivated',
    since: 'since {when}',
    noneText: 'Shops that others share with you appear here.',
    badge: 'Shared: {permission}',
    only: 'This shop is shared with you. Your permission: {permission}.',
    needs: 'Requires the permission “{permission}”. Ask the owner',
    ownerOnly: 'Owner only',
  },
}

export const sharing = { zh, en }
