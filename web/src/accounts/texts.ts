/** The texts of bringing a shop in, and of what is set for it from the table. */
import type { Texts } from '../i18n/messages'

const qrZh = {
  way: '添加方式',
  byCookie: '粘贴 Cookie',
  byCode: '扫码登录',
  show: '显示二维码',
  again: '换一个二维码',
  fetching: '正在获取二维码…',
  alt: '登录二维码，请用闲鱼 App 扫描',
  scan: '打开手机闲鱼，点击“扫一扫”，扫描此二维码并确认登录。',
  expires: '二维码{when}失效，失效后自动更换',
  scanned: '已扫码，请在手机上确认',
  lost: '暂时无法查询扫码结果：{why}',
  verify: '去验证',
  verifyHint: '完成验证后，再换一个二维码登录。',
  optionalId: '店铺名称（ID，可选）',
  optionalIdHint: '留空则使用闲鱼号；已添加过的闲鱼号会更新 Cookie。',
  doneNew: '已添加 {id}',
  doneKnown: '{id}：已更换 Cookie',
}
const qrEn: Texts<typeof qrZh> = {
  way: 'How to bring it in',
  byCookie: 'Paste the cookie',
  byCode: 'Scan a code',
  show: 'Show the code',
  again: 'Another code',
  fetching: 'Asking for a code…',
  alt: 'Login code; scan it with the Xianyu app',
  scan: 'Open Xianyu on the phone, press “Scan”, scan this code and confirm.',
  expires: 'It expires {when}; another one follows by itself',
  scanned: 'Scanned; now confirm on the phone',
  lost: 'Nobody knows for now whether it was scanned: {why}',
  verify: 'Pass the check',
  verifyHint: 'Pass the check, then sign in by another code.',
  optionalId: 'Name of the shop (id, optional)',
  optionalIdHint: 'Left empty it is the seller’s number; a seller that is here already gets the new cookie.',
  doneNew: '{id} was added',
  doneKnown: '{id} has its new cookie',
}

const proxyZh = {
  label: '代理',
  use: '使用代理连接',
  hint: '留空则直接连接。支持 http:// 和 socks5://；密码会加密保存，之后不再显示。有代理时，绝不会改为直接连接。',
  check: '检测',
  checking: '正在检测…',
  change: '更换',
  drop: '不再使用代理',
  dropping: '保存后将直接连接。',
  keep: '保持不变',
}
const proxyEn: Texts<typeof proxyZh> = {
  label: 'Proxy',
  use: 'Connect through a proxy',
  hint: 'Empty means a direct connection. http:// and socks5:// are known. The password is kept encrypted and never shown again. A shop that has a proxy never connects without it.',
  check: 'Check',
  checking: 'Checking…',
  change: 'Change',
  drop: 'Use none',
  dropping: 'When saved, it connects directly.',
  keep: 'Keep it',
}

const editZh = {
  title: '{id}：备注与连接',
  open: '备注、暂停与代理',
  remark: '备注与标签',
  remarkHint: '以 # 开头的词是标签，例如“小鱼杂货铺 #电子书 #主力”。点击标签即可筛选。',
  pause: '人工回复后暂停（分钟）',
  pauseHint: '您亲自回复买家后，这个会话在这段时间内不自动回复。0 表示不暂停，最多 60。',
  reconnect: '更换代理会重新连接。',
  done: '{id}：已保存',
  tag: '筛选标签 #{tag}',
}
const editEn: Texts<typeof editZh> = {
  title: '{id}: remark and connection',
  open: 'Remark, pause, proxy',
  remark: 'Remark and tags',
  remarkHint: 'A word that begins with # is a tag, as in “Books and more #ebooks #main”. Press a tag to filter by it.',
  pause: 'Pause after your own reply (minutes)',
  pauseHint:
    'When you have answered a buyer yourself, that chat gets no automatic reply for so long. 0 is no pause; 60 is the most.',
  reconnect: 'Another proxy makes it connect anew.',
  done: '{id} was saved',
  tag: 'Filter by #{tag}',
}

const keysZh = {
  title: '键盘快捷键',
  open: '键盘快捷键（?）',
  help: '显示这个列表',
  search: '搜索',
  add: '添加店铺',
  go: '前往{place}',
  move: '上一行、下一行',
  switch: '启用或停用所在行的店铺',
  select: '选择所在行的店铺',
  close: '关闭对话框或菜单',
  after: '然后',
  hint: '在输入框中不起作用。Tab 可到达所有按钮。',
}
const keysEn: Texts<typeof keysZh> = {
  title: 'Keyboard shortcuts',
  open: 'Keyboard shortcuts (?)',
  help: 'Show this list',
  search: 'Search',
  add: 'Add a shop',
  go: 'Go to {place}',
  move: 'Row before, row after',
  switch: 'Switch the shop of this row on or off',
  select: 'Select the shop of this row',
  close: 'Close a dialog or a menu',
  after: 'then',
  hint: 'They rest while you type. Tab reaches every button.',
}

const batchZh = {
  more: '更多',
  confirmOn: '开启自动发货',
  confirmOff: '关闭自动发货',
  tagOn: '添加标签…',
  tagOff: '去掉标签…',
  titleConfirmOn: '为 {n} 个店铺开启自动发货？',
  titleConfirmOff: '为 {n} 个店铺关闭自动发货？',
  titleTagOn: '给 {n} 个店铺添加标签',
  titleTagOff: '去掉 {n} 个店铺的标签',
  tag: '标签',
  goTagOn: '添加',
  goTagOff: '去掉',
  confirmHint: '开启后，收到付款并发出付款后的消息，就会自动确认发货。',
}
const batchEn: Texts<typeof batchZh> = {
  more: 'More',
  confirmOn: 'Auto-confirm on',
  confirmOff: 'Auto-confirm off',
  tagOn: 'Add a tag…',
  tagOff: 'Take a tag away…',
  titleConfirmOn: 'Switch auto-confirm on? Shops: {n}',
  titleConfirmOff: 'Switch auto-confirm off? Shops: {n}',
  titleTagOn: 'Add a tag. Shops: {n}',
  titleTagOff: 'Take a tag away. Shops: {n}',
  tag: 'Tag',
  goTagOn: 'Add',
  goTagOff: 'Take away',
  confirmHint: 'From then on a paid order gets its message, and then its shipment is confirmed without a person.',
}

export const batchMore = { zh: batchZh, en: batchEn }
export const qr = { zh: qrZh, en: qrEn }
export const proxy = { zh: proxyZh, en: proxyEn }
export const edit = { zh: editZh, en: editEn }
export const keys = { zh: keysZh, en: keysEn }
