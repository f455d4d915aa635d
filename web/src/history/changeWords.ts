/** A change in the words of a seller: line by line, what it was before and what it is now. */
import type { Item } from '../common/api'
import { COUNTERS, fieldName, valueText } from '../common/describe'
import { same } from '../common/drafts'
import { t } from '../i18n'
import { FIELDS, NEW_RULE, type RuleValues } from '../rules/rules'
import { conditions, fieldText, replyText } from '../rules/ruleWords'

/** What one setting was and is. */
export interface Difference {
  name: string
  old: string
  new: string
}

export type Line =
  | ({ kind: 'set' } & Difference)
  /** Something without an old and a new value that a user could read. */
  | { kind: 'note'; name: string; text: string }
  /** A rule or an item that came, went or changed. */
  | { kind: 'added' | 'removed'; name: string; subject: string; text: string }
  | { kind: 'edited'; name: string; subject: string; differences: Difference[] }

interface Delta {
  added?: unknown[]
  removed?: unknown[]
  edited?: [unknown, unknown][]
}

type RuleRow = Partial<RuleValues> & { id: string }
type ItemRow = Partial<Item> & { item_id: string }

const NEW_ITEM = { reply: '', paid_message: '', nothing_to_send: false }
const ITEM_FIELDS = Object.keys(NEW_ITEM) as (keyof typeof NEW_ITEM)[]

/** The lines of a change. */
export function linesOf(changes: Record<string, unknown>): Line[] {
  if ('deleted' in changes) return [{ kind: 'note', name: '', text: t('values.wasRemoved') }]
  const lines: Line[] = []
  if ('created_at_ms' in changes) lines.push({ kind: 'note', name: '', text: t('values.wasAdded') })
  else lines.push(...settings(changes))
  lines.push(...rules((changes.keywords ?? {}) as Delta), ...items((changes.items ?? {}) as Delta))
  lines.push(...deliveries((changes.deliveries ?? {}) as Delta))
  return lines
}

function settings(changes: Record<string, unknown>): Line[] {
  const found = Object.entries(changes).flatMap(([field, change]): Line[] =>
    Array.isArray(change) ? setting(field, change[0], change[1]) : [],
  )
  if (found.length || ['keywords', 'items', 'deliveries'].some((name) => name in changes)) return found
  return 'restart_nonce' in changes ? [{ kind: 'note', name: '', text: t('history.reconnected') }] : []
}

function setting(field: string, before: unknown, after: unknown): Line[] {
  if (COUNTERS.has(field)) return []
  const name = fieldName(field)
  if (field === 'cookie')
    return [{ kind: 'note', name, text: t('history.cookie', { old: String(before), new: String(after) }) }]
  if (field === 'proxy' && before === after) return [{ kind: 'note', name, text: t('history.proxySecret') }]
  return [{ kind: 'set', name, old: valueText(before, field), new: valueText(after, field) }]
}

const ruleOf = (row: unknown): RuleValues => {
  const { parts = [], ...given } = row as RuleRow
  return { ...NEW_RULE, ...given, parts: parts.map((part) => ({ ...part, text: part.text ?? '' })) }
}
const wordsOf = (rule: RuleValues): string => rule.words.join(' / ')

function rules({ added = [], removed = [], edited = [] }: Delta): Line[] {
  const name = fieldName('keywords')
  const whole =
    (kind: 'added' | 'removed') =>
    (row: unknown): Line => {
      const rule = ruleOf(row)
      return { kind, name, subject: wordsOf(rule), text: [replyText(rule), ...conditions(rule)].join(' · ') }
    }
  let moved = 0
  const changed = edited.flatMap(([before, after]): Line[] => {
    const [old, now] = [ruleOf(before), ruleOf(after)]
    const differences = FIELDS.filter((field) => !same(old[field], now[field])).map((field) => ({
      name: t(`rules.field.${field}`),
      old: fieldText(field, old),
      new: fieldText(field, now),
    }))
    if (!differences.length) moved += 1
    return differences.length ? [{ kind: 'edited', name, subject: wordsOf(now), differences }] : []
  })
  const order: Line[] = moved ? [{ kind: 'note', name, text: t('history.ordered') }] : []
  return [...added.map(whole('added')), ...removed.map(whole('removed')), ...changed, ...order]
}

function items({ added = [], removed = [], edited = [] }: Delta): Line[] {
  const name = fieldName('items')
  const itemOf = (row: unknown) => ({ ...NEW_ITEM, ...(row as ItemRow) })
  const text = (item: ReturnType<typeof itemOf>): string =>
    ITEM_FIELDS.filter((field) => item[field] !== NEW_ITEM[field])
      .map((field) =>
        field === 'nothing_to_send' ? t('account.itemNothing') : `${t(`history.item.${field}`)}: ${item[field]}`,
      )
      .join(' · ')
  const whole =
    (kind: 'added' | 'removed') =>
    (row: unknown): Line => {
      const item = itemOf(row)
      return { kind, name, subject: item.item_id, text: text(item) }
    }
  const changed = edited.map(([before, after]): Line => {
    const [old, now] = [itemOf(before), itemOf(after)]
    const differences = ITEM_FIELDS.filter((field) => old[field] !== now[field]).map((field) => ({
      name: t(`history.item.${field}`),
      old: valueText(old[field]),
      new: valueText(now[field]),
    }))
    return { kind: 'edited', name, subject: now.item_id, differences }
  })
  return [...added.map(whole('added')), ...removed.map(whole('removed')), ...changed]
}

interface DeliveryRow {
  item_id?: string
  title_contains?: string
  spec?: string
  goods_id?: number
  count?: number
  parts?: { text?: string; image_url?: string }[]
  nothing_to_send?: boolean
  confirm?: string | number
}

/** The rule's orders: its item or title, and its spec. */
function ordersOf(rule: DeliveryRow): string {
  const title = rule.title_contains ? `“${rule.title_contains}”` : t('history.everyItem')
  return [rule.item_id || title, rule.spec].filter(Boolean).join(' · ')
}

function deliveryText(rule: DeliveryRow): string {
  const parts = (rule.parts ?? []).map((part) => part.text || t('content.image'))
  const what = rule.goods_id ? [t('history.goods', { n: rule.goods_id, count: rule.count ?? 1 }), ...parts] : parts
  const sends = rule.nothing_to_send ? [t('account.itemNothing')] : what
  const confirms = typeof rule.confirm === 'number' ? 'later' : (rule.confirm as 'yes' | 'no' | undefined)
  return [...sends, ...(confirms ? [t(`history.confirm.${confirms}`, { n: rule.confirm ?? 0 })] : [])].join(' · ')
}

function deliveries({ added = [], removed = [], edited = [] }: Delta): Line[] {
  const name = fieldName('deliveries')
  const whole =
    (kind: 'added' | 'removed') =>
    (row: unknown): Line => {
      const rule = row as DeliveryRow
      return { kind, name, subject: ordersOf(rule), text: deliveryText(rule) }
    }
  const changed = edited.map(([before, after]): Line => {
    const difference = { name, old: deliveryText(before as DeliveryRow), new: deliveryText(after as DeliveryRow) }
    return { kind: 'edited', name, subject: ordersOf(after as DeliveryRow), differences: [difference] }
  })
  return [...added.map(whole('added')), ...removed.map(whole('removed')), ...changed]
}
