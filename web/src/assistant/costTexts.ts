/** The texts about what the model costs. */
import type { Texts } from '../i18n/messages'

const zh = {
  title: '模型花费',
  text: '最近 {n} 天，按店铺时区的日期',
  total: '共 {cost}，调用 {calls} 次',
  none: '这段时间没有调用模型',
  alt: '每天每个店铺的模型花费（元），同样的数字在下面的表格里',
  chart: '查看图表',
  table: '查看表格',
  day: '日期',
  shop: '店铺',
  calls: '调用',
  tokens: 'Token',
  cost: '花费',
  otherShops: '其他店铺',
}

const en: Texts<typeof zh> = {
  title: 'Cost of the model',
  text: 'Last {n} day, by the shop’s time zone | Last {n} days, by the shop’s time zone',
  total: '{cost} in total, {calls} calls',
  none: 'The model wasn’t called in this time',
  alt: 'Cost of the model per day and shop in yuan; the same figures stand in the table below',
  chart: 'Show chart',
  table: 'Show as a table',
  day: 'Day',
  shop: 'Shop',
  calls: 'Calls',
  tokens: 'Tokens',
  cost: 'Cost',
  otherShops: 'Other shops',
}

export const modelCost = { zh, en }
