/** The texts of goods that a supplier sells. */
import type { Texts } from '../i18n/messages'

const zh = {
  supplier: {
    title: '供货商',
    about: '一次请求要一个卡密。地址和内容里可以写 {names}。全部加密保存，之后只隐去机密显示。',
    masked: '已保存的内容隐去机密显示。留空的项保持不变。',
    now: '现在：{text}',
    url: '地址',
    method: '方法',
    headers: '请求头，每行一个',
    headersHint: '例如 Authorization: Bearer …',
    body: '请求内容',
    bodyHint: 'JSON 或表单，可以不填。',
    path: '卡密在返回内容里的位置',
    pathHint: '例如 data.cards.0.code；不填表示整个返回内容就是卡密。',
    query: '查询地址',
    queryHint: '没有收到答复时，用它查询订单的结果。没有查询地址时，不确定的订单由您处理，不会自动再买。',
    timeout: '最多等几秒',
    wait: '最多查询几秒',
    canBeAsked: '没有收到答复时，会查询结果。',
    cannotBeAsked: '没有查询地址：没有收到答复的订单由您处理，不会自动再买。',
    show: '查看请求',
    call: '试买一个',
    callText: '供货商会真的卖出一个卡密，它成为这个货品的可用库存，下一个订单会得到它。',
    buy: '购买',
    outcome: {
      unit: '返回 {status}：买到卡密 {masked}，已放入库存。',
      refused: '返回 {status}：供货商拒绝了，没有买到。',
      unreachable: '没有连上供货商，没有买到。',
      unsure: '返回 {status}：不知道是否买到，已标记为存疑。',
    },
  },
}

const en: Texts<typeof zh> = {
  supplier: {
    title: 'Supplier',
    about:
      'One call asks for one unit. Address and body may have {names}. All of it is encrypted, and shown without secrets from then on.',
    masked: 'What is saved is shown without secrets. A field that is left empty stays as it is.',
    now: 'Now: {text}',
    url: 'Address',
    method: 'Method',
    headers: 'Headers, one on each line',
    headersHint: 'For example Authorization: Bearer …',
    body: 'Body',
    bodyHint: 'JSON or a form; may be empty.',
    path: 'Where the unit is in the answer',
    pathHint: 'For example data.cards.0.code; empty: the whole answer is the unit.',
    query: 'Query address',
    queryHint:
      'Asked what became of an order that got no answer. Without one, such an order waits for you, and nothing is bought again by itself.',
    timeout: 'Seconds to wait',
    wait: 'Seconds to query',
    canBeAsked: 'It is asked what became of an order that got no answer.',
    cannotBeAsked:
      'It has no query address: an order that got no answer waits for you, and nothing is bought again by itself.',
    show: 'Show the call',
    call: 'Buy one as a test',
    callText: 'The supplier really sells one unit. It becomes free stock of these goods, and the next order gets it.',
    buy: 'Buy',
    outcome: {
      unit: 'Answer {status}: unit {masked} was bought and is in stock.',
      refused: 'Answer {status}: the supplier refused, and nothing was bought.',
      unreachable: 'The supplier was not reached, and nothing was bought.',
      unsure: 'Answer {status}: it is not known whether a unit was bought. It is marked as doubted.',
    },
  },
}

export const stockSupplier = { zh, en }
