/** The texts of the quick replies. */
import type { Texts } from '../i18n/messages'

const zh = {
  title: '快捷短语',
  open: '快捷短语（在空白处输入 /）',
  manage: '管理快捷短语',
  keys: '↑↓ 选择，Enter 填入，Esc 关闭',
  none: '还没有快捷短语。添加常用回复后，输入 / 即可填入。',
  noMatch: '没有匹配的快捷短语',
  hint: "可用变量：{'{'}buyer{'}'} 买家昵称、{'{'}item{'}'} 商品标题、{'{'}price{'}'} 价格、{'{'}shop{'}'} 店铺名。填入后可先修改再发送。",
  everywhere: '全部店铺',
  onlyIn: '仅“{shop}”',
  up: '上移',
  down: '下移',
  edit: '修改',
  delete: '删除',
  add: '添加短语',
  keep: '保存',
  shortcut: '快捷码（可不填）',
  shortcutExample: '例如 fh',
  text: '内容',
  textExample: '例如：您好，拍下后今天就发货。',
  where: '适用店铺',
  notKept: '未能保存：{why}',
}

const en: Texts<typeof zh> = {
  title: 'Quick replies',
  open: 'Quick replies (type / in the empty box)',
  manage: 'Manage quick replies',
  keys: '↑↓ to select, Enter to insert, Esc to close',
  none: 'No quick replies yet. Add what you often say, then type / to insert it.',
  noMatch: 'No quick reply matches',
  hint: "Variables: {'{'}buyer{'}'}, {'{'}item{'}'} (title), {'{'}price{'}'} and {'{'}shop{'}'}. The reply goes into the box, so you can edit it before sending.",
  everywhere: 'All shops',
  onlyIn: 'Only “{shop}”',
  up: 'Move up',
  down: 'Move down',
  edit: 'Edit',
  delete: 'Delete',
  add: 'Add a reply',
  keep: 'Save',
  shortcut: 'Shortcut (optional)',
  shortcutExample: 'for example, ship',
  text: 'Text',
  textExample: 'For example: Hi! Order now and it ships today.',
  where: 'Shops',
  notKept: 'Not saved. {why}',
}

export const quick = { zh, en }
