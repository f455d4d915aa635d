/** An entry of the audit log in words: who, about whom, and what else is known. */
import type { AuditEntryShape } from '../common/api'
import { count } from '../common/clock'
import { originText } from '../common/describe'
import { type Key, labelOf, t } from '../i18n'

/** What means nothing to a user: numbers of rows, or what stands elsewhere in the entry. */
const OMITTED: ReadonlySet<string> = new Set([
  'many',
  'token_id',
  'invitation_id',
  'session_id',
  'provider_id',
  'channel_id',
  'webhook_id',
  'goods_id',
  'unit_id',
])
/** Where the words of a value stand. */
const LABELS: Readonly<Record<string, Parameters<typeof labelOf>[0]>> = {
  role: 'users.roles',
  right: 'users.permissions',
  permission: 'users.permissions',
  scope: 'users.permissions',
  service: 'notices.services',
}
/** What is shown even when it is empty: then something was taken back. */
const EMPTY: Readonly<Record<string, Key>> = { consented_host: 'security.noConsent' }

export function who(row: AuditEntryShape): string {
  if (row.actor === 'server') return t('security.itself')
  if (row.actor === 'machine') return t('security.machine')
  return row.actor.replace(/^user:/, '') || t('security.somebody')
}

/** Whom it is about, if that is another than who did it. */
export function about(row: AuditEntryShape): string {
  if (row.user_id === null || row.actor === `user:${row.username}`) return ''
  return t('security.about', { name: row.username ?? t('security.gone') })
}

export const from = (row: AuditEntryShape): string =>
  row.facts.many ? t('security.manyAddresses') : originText(row.origin)

/** What else is known, each fact with its name. */
export function facts(row: AuditEntryShape): string[] {
  return Object.entries(row.facts).flatMap(([name, value]) => {
    if (OMITTED.has(name) || value === null) return []
    if (value === '') return EMPTY[name] ? [t(EMPTY[name])] : []
    return [t('security.fact', { name: labelOf('security.facts', name), value: wordsOf(name, value) })]
  })
}

function wordsOf(name: string, value: unknown): string {
  const group = LABELS[name]
  if (group) return labelOf(group, String(value))
  if (name === 'step') return labelOf('security.steps', String(value))
  if (name === 'units' && Array.isArray(value)) return count(value.length)
  if (typeof value === 'boolean') return t(value ? 'values.yes' : 'values.no')
  if (typeof value === 'number') return count(value)
  return Array.isArray(value) ? value.join(t('values.comma')) : String(value)
}
