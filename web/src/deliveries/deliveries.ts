/** Delivery rules in the form of the page: what a rule is for, and what it says. */
import type { CheckedItem, DeliveryRule } from '../common/api'
import { count } from '../common/clock'
import { same } from '../common/drafts'
import { t } from '../i18n'

export type Confirm = 'shop' | 'yes' | 'no' | 'later'
export type Target = 'item' | 'title' | 'all'

export const NEW_RULE: DeliveryRule = {
  item_id: '',
  title_contains: '',
  spec: '',
  goods_id: null,
  count: 1,
  parts: [],
  nothing_to_send: false,
  delay_seconds: 0,
  confirm: null,
}

/** Two rules with the same key are for the same orders. */
export const keyOf = (rule: DeliveryRule): string => JSON.stringify([rule.item_id, rule.title_contains, rule.spec])

export function targetOf(rule: DeliveryRule): Target {
  if (rule.item_id) return 'item'
  return rule.title_contains ? 'title' : 'all'
}

/** The rule of an item that serves a line. */
export const ruleOf = (rules: DeliveryRule[], line: CheckedItem): DeliveryRule | null =>
  rules.find((rule) => rule.item_id === line.item_id && rule.spec === line.rule_spec) ?? null

/** Whether the rule names a value alone, which is taken for the spec that was or may be bought. */
export const isTaken = (spec: string | null, ruleSpec: string | null): boolean => Boolean(ruleSpec && ruleSpec !== spec)

export type Standing = 'ok' | 'unsure' | 'wrong'
/** How a line stands: `unsure` while nothing is known of the item's specs. */
export const standingOf = (line: CheckedItem): Standing =>
  line.ok ? 'ok' : line.obstacle === 'not_compared' ? 'unsure' : 'wrong'

/** The orders of a rule: its item, by the title where the known items have it, or a title. */
export function ordersOf(rule: DeliveryRule, known: { item_id: string; title: string }[] = []): string {
  if (rule.title_contains) return t('deliveries.titleHas', { text: rule.title_contains })
  const title = rule.item_id && known.find((one) => one.item_id === rule.item_id)?.title
  return title || rule.item_id || t('deliveries.every')
}

/** What stands small below the orders of a rule: the number of an item shown by its title, and the spec. */
export function detailOf(rule: DeliveryRule, known: { item_id: string; title: string }[] = []): string {
  const number = rule.item_id === ordersOf(rule, known) ? '' : rule.item_id
  return [number, rule.spec].filter(Boolean).join(' · ')
}

export function confirmOf(rule: DeliveryRule): Confirm {
  if (rule.confirm === null) return 'shop'
  return typeof rule.confirm === 'string' ? rule.confirm : 'later'
}

/** What a rule sends, in one line. */
export function contentOf(rule: DeliveryRule, goods: string | undefined): string {
  if (rule.nothing_to_send) return t('deliveries.nothing')
  const texts = rule.parts.map((part) => part.text ?? t('content.image'))
  const units = rule.goods_id ? [t('deliveries.units', { goods: goods ?? rule.goods_id, n: count(rule.count) })] : []
  return [...units, ...texts].join(' · ')
}

export interface RuleChange {
  kind: 'added' | 'edited' | 'removed'
  rule: DeliveryRule
  /** What an edited rule was. */
  before?: DeliveryRule
}

/** What differs between two lists, in the order of the new one; what is gone comes last. */
export function changesBetween(before: DeliveryRule[], after: DeliveryRule[]): RuleChange[] {
  const old = new Map(before.map((rule) => [keyOf(rule), rule]))
  const changes: RuleChange[] = []
  for (const rule of after) {
    const was = old.get(keyOf(rule))
    if (!was) changes.push({ kind: 'added', rule })
    else if (!same(was, rule)) changes.push({ kind: 'edited', rule, before: was })
    old.delete(keyOf(rule))
  }
  return [...changes, ...[...old.values()].map((rule) => ({ kind: 'removed' as const, rule }))]
}

function confirmText(rule: DeliveryRule): string {
  const hours = rule.confirm !== null && typeof rule.confirm === 'object' ? [count(rule.confirm.after_hours)] : []
  return [t(`deliveries.confirmations.${confirmOf(rule)}`), ...hours].join(' ')
}

/** What a change makes of a rule, in one line; `nameOf` names goods. */
export function changeText({ rule, before }: RuleChange, nameOf: (id: number | null) => string | undefined): string {
  const [now, was] = [contentOf(rule, nameOf(rule.goods_id)), before && contentOf(before, nameOf(before.goods_id))]
  if (!before) return now
  const parts = was === now ? [] : [`${was} → ${now}`]
  if (before.delay_seconds !== rule.delay_seconds)
    parts.push(`${t('deliveries.delay')}: ${count(before.delay_seconds)} → ${count(rule.delay_seconds)}`)
  if (!same(before.confirm, rule.confirm))
    parts.push(`${t('deliveries.confirm')}: ${confirmText(before)} → ${confirmText(rule)}`)
  return parts.join(' · ') || now
}

/**
 * The list with one rule in the place of another (or added, or without it). Throws when the other is not there as it
 * was shown: somebody else's change of it would be lost.
 */
export function withRule(rules: DeliveryRule[], old: DeliveryRule | null, now: DeliveryRule | null): DeliveryRule[] {
  if (old && !rules.some((rule) => same(rule, old))) throw new Error(t('deliveries.changedSince'))
  const kept = rules.filter((rule) => !old || keyOf(rule) !== keyOf(old))
  return now ? [...kept.filter((rule) => keyOf(rule) !== keyOf(now)), now] : kept
}
