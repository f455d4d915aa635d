/** The texts of the first replies of a shop. The templates are what buyers write and read, so their words are Chinese in both languages. */
import type { Texts } from '../i18n/messages'

const zh = {
  title: '{name}：设置自动回复',
  lead: '店铺已添加。先选好常见问题的回复，之后随时可以在“规则”里修改。',
  way: '回复从哪里来',
  templates: '常用模板',
  copy: '和已有店铺一样',
  words: '买家提到：{words}',
  use: '使用模板“{name}”',
  reply: '“{name}”的回复',
  greeting: '打招呼',
  postage: '包邮',
  bargain: '议价',
  delivery: '发货',
  from: '和哪个店铺一样',
  choose: '选择店铺',
  save: '保存 {n} 条规则',
  later: '以后再说',
  own: '自己写规则',
  saved: '{name}：已保存 {n} 条规则，马上生效',
}

const en: Texts<typeof zh> = {
  title: '{name}: set up replies',
  lead: 'The shop is added. Choose replies to the most common questions; you can change them later under Rules.',
  way: 'Where the replies come from',
  templates: 'Templates',
  copy: 'Same as another shop',
  words: 'Buyer mentions: {words}',
  use: 'Use the template “{name}”',
  reply: 'Reply of “{name}”',
  greeting: 'Greeting',
  postage: 'Free shipping?',
  bargain: 'Bargaining',
  delivery: 'Delivery',
  from: 'Same as',
  choose: 'Choose a shop',
  save: 'Save {n} rule | Save {n} rules',
  later: 'Later',
  own: 'Write my own',
  saved: '{name}: {n} rule saved and in effect | {name}: {n} rules saved and in effect',
}

export const answersFirst = { zh, en }
