/** Rules for the questions that every shop is asked: a beginning that its owner edits. Buyers write and read Chinese. */
import { NEW_RULE, type WantedRule } from './rules'

export const TEMPLATES = [
  {
    name: 'greeting',
    words: ['在吗', '在不在', '你好', '还在', '有货'],
    reply: '在的，喜欢可以直接拍，有问题随时问我。',
  },
  {
    name: 'postage',
    words: ['包邮', '邮费', '运费'],
    reply: '标了包邮的都包邮，其他的以商品页的运费为准。',
  },
  {
    name: 'bargain',
    words: ['便宜', '优惠', '最低', '能刀', '可刀', '少点'],
    reply: '价格已经很实在啦，喜欢就直接拍，会尽快处理。',
  },
  {
    name: 'delivery',
    words: ['发货', '多久发', '怎么发', '什么时候发'],
    reply: '付款后会尽快发货，发出后您会收到通知。',
  },
] as const

export type TemplateName = (typeof TEMPLATES)[number]['name']

/** The rules of the chosen templates with the replies as they were edited. */
export function rulesOf(chosen: { name: TemplateName; reply: string }[]): WantedRule[] {
  return TEMPLATES.flatMap(({ name, words }) => {
    const reply = chosen.find((one) => one.name === name)?.reply.trim()
    return reply ? [{ ...NEW_RULE, words: [...words], parts: [{ text: reply, image_url: '' }] }] : []
  })
}
