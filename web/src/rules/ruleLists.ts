/** Whole lists of rules: brought to a shop, given as a file, and compared. */
import { call, path, type Rule, type RulesReplaced } from '../common/api'
import { same } from '../common/drafts'
import { saveFile } from '../common/files'
import { t } from '../i18n'
import { longestRise } from './rise'
import { FIELDS, nameOfRule, type RuleValues, type WantedRule } from './rules'

export type Mode = 'merge' | 'replace'

/** Bring rules to a shop, or only ask what that would do; a `generation` that was seen must still hold. */
export function bring(
  shop: string,
  rules: WantedRule[],
  mode: Mode,
  how: { dry: boolean; generation?: number },
): Promise<RulesReplaced> {
  return call<RulesReplaced>('PUT', path('cookies', shop, 'rules'), {
    body: { rules },
    query: { mode, dry_run: how.dry ? 1 : undefined, wait: 0 },
    ...(how.generation !== undefined && { ifMatch: `"g${how.generation}"` }),
  })
}

/** What a list of rules would change at all. */
export const touches = (found: RulesReplaced): boolean => found.added + found.edited + found.removed > 0

/** The fields in which two rules differ. */
export function differing(before: RuleValues, after: RuleValues): (keyof RuleValues)[] {
  return FIELDS.filter((field) => !same(before[field], after[field]))
}

export const fieldNames = (fields: (keyof RuleValues)[]): string =>
  fields.map((field) => t(`rules.field.${field}`)).join('、')

const MOST = 6

/** What somebody did to a list of rules, a line for each change. */
export function differences(before: Rule[], now: Rule[]): string[] {
  const [old, fresh] = [new Map(before.map((rule) => [rule.id, rule])), new Map(now.map((rule) => [rule.id, rule]))]
  const lines: string[] = []
  for (const rule of now) if (!old.has(rule.id)) lines.push(t('ruleLists.theirs.added', { word: nameOfRule(rule) }))
  for (const rule of before)
    if (!fresh.has(rule.id)) lines.push(t('ruleLists.theirs.removed', { word: nameOfRule(rule) }))
  for (const rule of now) {
    const was = old.get(rule.id)
    const fields = was ? differing(was, rule) : []
    if (fields.length) lines.push(t('ruleLists.theirs.edited', { word: nameOfRule(rule), fields: fieldNames(fields) }))
  }
  lines.push(
    ...movesBetween(
      before.filter((rule) => fresh.has(rule.id)),
      now.filter((rule) => old.has(rule.id)),
      now,
    ),
  )
  if (!lines.length) return [t('ruleLists.theirs.none')]
  return lines.length <= MOST
    ? lines
    : [...lines.slice(0, MOST), t('ruleLists.theirs.more', { n: lines.length - MOST })]
}

/** Those that are not where the order of the others would have them: the fewest that must have moved. */
function movesBetween(before: Rule[], now: Rule[], all: Rule[]): string[] {
  const place = new Map(before.map((rule, at) => [rule.id, at]))
  const stayed = longestRise(now.map((rule) => place.get(rule.id) ?? 0))
  return now
    .filter((_, at) => !stayed.has(at))
    .map((rule) => t('ruleLists.theirs.moved', { word: nameOfRule(rule), place: all.indexOf(rule) + 1 }))
}

/** Save a shop's rules as a file; answers with its name. */
export function save(shop: string, format: 'json' | 'xlsx' | 'csv'): Promise<string> {
  return saveFile(`${path('cookies', shop, 'rules-file')}?format=${format}`, `rules.${format}`)
}
