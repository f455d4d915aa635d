/** Rules as a list: what is set of each, and how they are moved. */
import type { Rule, RuleSpan } from '../common/api'
import { same } from '../common/drafts'

/** What an owner sets of a rule. */
export type RuleValues = Omit<Rule, 'id' | 'hits' | 'last_hit_at'>
/** A rule that is to be stored: one without an id is new. */
export type WantedRule = RuleValues & { id?: string }

export const NEW_RULE: RuleValues = {
  words: [],
  word_mode: 'any',
  match_mode: 'contains',
  item_ids: [],
  priority: 0,
  schedule: [],
  parts: [],
  delay_seconds: [0, 0],
  cooldown_seconds: 0,
  active: true,
}
export const FIELDS = Object.keys(NEW_RULE) as (keyof RuleValues)[]

/** The part of a rule that an owner sets. */
export function valuesOf(rule: RuleValues): RuleValues {
  return Object.fromEntries(FIELDS.map((field) => [field, rule[field]])) as unknown as RuleValues
}

/** The words of a rule without those that say nothing. Spaces around a word belong to it only in a regular expression. */
export function cleanWords(rule: RuleValues): string[] {
  const words = rule.match_mode === 'regex' ? rule.words : rule.words.map((word) => word.trim())
  return words.filter((word) => word.trim())
}

export const isOfItems = (rule: RuleValues): boolean => rule.item_ids.length > 0

/** Whether two lists say the same, however often their rules fired. */
export function sameRules(one: Rule[], other: Rule[]): boolean {
  return (
    one.length === other.length &&
    one.every((rule, place) => rule.id === other[place]?.id && same(valuesOf(rule), valuesOf(other[place])))
  )
}

export interface Move {
  rules: Rule[]
  ids: string[]
  /** The new priority, if the rule needs another one where it is now. */
  priorities: Record<string, number>
}

/**
 * The list after a rule moved to a place among those of its kind (of items, or general).
 *
 * Rules of one kind stand in the order of their priorities. A rule that is dropped among others takes the priority of
 * its new neighbours, as far as it must.
 */
export function moved(rules: Rule[], id: string, place: number): Move {
  const rule = rules.find((one) => one.id === id)
  if (!rule) return { rules, ids: rules.map((one) => one.id), priorities: {} }
  const kind = rules.filter((one) => isOfItems(one) === isOfItems(rule) && one.id !== id)
  const above = kind[place - 1]
  const below = kind[place]
  let { priority } = rule
  if (above && priority > above.priority) priority = above.priority
  if (below && priority < below.priority) priority = below.priority
  const changed = priority === rule.priority ? rule : { ...rule, priority }
  kind.splice(place, 0, changed)
  let next = 0
  const placed = rules.map((one) => (isOfItems(one) === isOfItems(rule) ? (kind[next++] as Rule) : one))
  placed.sort((a, b) => b.priority - a.priority)
  return {
    rules: placed,
    ids: placed.map((one) => one.id),
    priorities: changed === rule ? {} : { [id]: priority },
  }
}

export const nameOfRule = (rule: RuleValues): string => rule.words[0] ?? ''

export const isWholeDay = (span: RuleSpan): boolean => span.start === '00:00' && span.end === '24:00'

/** Whether what is sought stands in the rule. */
export function mentions(rule: Rule, sought: string): boolean {
  const text = [...rule.words, ...rule.item_ids, ...rule.parts.map((part) => part.text)].join('\n').toLowerCase()
  return text.includes(sought)
}
