/** Rules in words: what they answer and under which conditions, in short. */
import type { RuleSpan } from '../common/api'
import { duration } from '../common/clock'
import { type Key, t } from '../i18n'
import { isWholeDay, type RuleValues } from './rules'

/** What a rule answers, in a line. */
export function replyText(rule: RuleValues): string {
  return rule.parts.map((part) => part.text || t('rules.pictures')).join(' ⏎ ') || t('rules.silent')
}

function daysText(days: number[]): string {
  const key = days.join('')
  if (key === '1234567') return t('rules.everyDay')
  if (key === '12345') return t('rules.weekdays')
  if (key === '67') return t('rules.weekend')
  return t('rules.dayList', { days: days.map((day) => t(`rules.days.d${day}` as Key)).join(' ') })
}

export function spanText(span: RuleSpan): string {
  const hours = isWholeDay(span) ? t('rules.wholeDay') : `${span.start}–${span.end}`
  return `${daysText(span.weekdays)} ${hours}`
}

function delayText([from = 0, to = 0]: number[]): string {
  if (!to) return ''
  return from === to ? t('rules.delayOne', { from }) : t('rules.delay', { from, to })
}

/** The conditions of a rule, each in a few words; none for those that a new rule has. */
export function conditions(rule: RuleValues): string[] {
  return [
    rule.match_mode === 'contains' ? '' : t(`rules.mode.${rule.match_mode}`),
    rule.word_mode === 'all' && rule.words.length > 1 ? t('rules.allWords') : '',
    rule.item_ids.length ? t('rules.itemCount', { n: rule.item_ids.length }) : '',
    ...rule.schedule.map(spanText),
    rule.priority ? t('rules.priority', { n: rule.priority }) : '',
    delayText(rule.delay_seconds),
    rule.cooldown_seconds ? t('rules.cooldown', { time: duration(rule.cooldown_seconds * 1000) }) : '',
  ].filter(Boolean)
}

/** A value of a rule in words, for theirs and mine. */
export function fieldText(field: keyof RuleValues, rule: RuleValues): string {
  switch (field) {
    case 'words':
      return rule.words.join('\n')
    case 'word_mode':
      return rule.word_mode === 'all' ? t('rules.form.all') : t('rules.form.any')
    case 'match_mode':
      return t(`rules.mode.${rule.match_mode}`)
    case 'item_ids':
      return rule.item_ids.join('\n') || t('rules.anyItem')
    case 'schedule':
      return rule.schedule.map(spanText).join('\n') || t('rules.always')
    case 'parts':
      return replyText(rule)
    case 'delay_seconds':
      return rule.delay_seconds.join('–')
    case 'active':
      return rule.active ? t('values.on') : t('values.off')
    default:
      return String(rule[field])
  }
}
