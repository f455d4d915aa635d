/** A change in words: which fields, from what to what. */

import { has, type Key, labelOf, t } from '../i18n'
import type { Chat, Outcome, Sending } from './api'
import { providerName } from './providerNames'

/** The name of a field of an account, as far as there is one. */
export function fieldName(field: string): string {
  return labelOf('fields', field)
}

/** What a setting of a shop means. */
export const hintOf = (field: string): string => labelOf('hints', field)

/** What stands for "nothing set" in fields where that means something. */
const UNSET: Record<string, Key> = {
  debounce_seconds: 'account.serverSetting',
  buyer_replies_per_hour: 'account.serverSetting',
  shop_replies_per_minute: 'account.serverSetting',
  timezone: 'account.timezoneDefault',
  proxy: 'account.fact.direct',
  browser: 'account.fact.browserUnknown',
}

/** What the journal writes as a word of its own. */
const MODES: Record<string, Key> = { off: 'model.modes.off', draft: 'model.modes.draft', auto: 'model.modes.auto' }

/** Stored questions and answers, one a line. */
function factsText(stored: string): string {
  const facts = JSON.parse(stored || '[]') as [string, string][]
  return facts.map(([question, answer]) => `${question} · ${answer}`).join('\n') || t('values.nothing')
}

/** The user agent of a browser in its stored form; the server's own has none. */
function browserText(stored: string): string {
  return (JSON.parse(stored) as { user_agent?: string }).user_agent ?? 'Shoal'
}

/** A value of the journal in words. */
export function valueText(value: unknown, field = ''): string {
  if (value === true) return t('values.on')
  if (value === false) return t('values.off')
  if (UNSET[field] && (value === null || value === '')) return t(UNSET[field])
  if (value === null || value === undefined || value === '') return t('values.nothing')
  if (field === 'ai_mode' && MODES[String(value)]) return t(MODES[String(value)] as Key)
  if (field === 'ai_provider_id')
    return value ? providerName(Number(value)) || t('values.provider') : t('values.nothing')
  if (field === 'ai_facts' && typeof value === 'string') return factsText(value)
  if (field === 'browser') return browserText(String(value))
  if (field === 'price_floor_fen') return (Number(value) / 100).toFixed(2)
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

/** Fields whose numbers mean nothing to a user: they count, or they follow from another field. */
export const COUNTERS: ReadonlySet<string> = new Set(['restart_nonce', 'cookie_version', 'orders_since_ms'])

export interface FieldChange {
  field: string
  old: string
  new: string
}

/** "2 rules", for the fields that hold many rows. */
const counted = (field: string, n: number): string =>
  has(`values.rows.${field}`) ? t(`values.rows.${field}` as Key, { n }) : String(n)

/** The fields of a change; rules and items as how many were added, removed and edited. */
export function fieldChanges(changes: Record<string, unknown>): FieldChange[] {
  return Object.entries(changes).map(([field, change]) => {
    if (COUNTERS.has(field)) return { field, old: '', new: '' }
    if (Array.isArray(change)) return { field, old: valueText(change[0], field), new: valueText(change[1], field) }
    const counts = Object.entries((change ?? {}) as Record<string, unknown[] | number>)
      .map(([kind, rows]) => [kind, typeof rows === 'number' ? rows : rows?.length] as const)
      .filter(([kind, n]) => has(`values.${kind}`) && n)
      .map(([kind, n]) => t(`values.${kind}` as Key, { n: counted(field, n ?? 0) }))
    return { field, old: '', new: counts.join(' · ') }
  })
}

/** What a change did, in one line. */
export function summary(changes: Record<string, unknown>): string {
  const fields = fieldChanges(changes)
  if ('deleted' in changes) return t('values.wasRemoved')
  if ('created_at_ms' in changes) return t('values.wasAdded')
  return fields.map(inWords).join(' · ')
}

function inWords(one: FieldChange): string {
  if (one.new && has(`values.rows.${one.field}`)) return one.new
  return [fieldName(one.field), one.old ? `${one.old} → ${one.new}` : one.new].filter(Boolean).join(' ')
}

/** Who did it: the journal says `user:ann`, `outside` of what another program wrote into the database, and `restore`. */
export function actorName(actor: string): string {
  if (actor === 'outside') return t('account.outside')
  if (actor === 'restore') return t('account.restored')
  return actor.startsWith('user:') ? actor.slice(5) : actor
}

const BY = { console: 'history.by.console', shell: 'history.by.shell', api: 'history.by.api' } as const

/** The origin of a change: "console 192.0.2.7"; empty when unknown. */
export function originText(origin: string): string {
  const [by = '', address = ''] = origin.split(' ', 2)
  const way = by in BY ? t(BY[by as keyof typeof BY]) : by
  return [way, address].filter(Boolean).join(' ')
}

/** The site's numbers of what a message may be. */
const CONTENTS: Record<string, Key> = {
  '2': 'content.image',
  '26': 'content.card',
  '1': 'content.text',
  text: 'content.text',
}

/** What stands for a message without words. */
export const contentName = (type: string): string => t(CONTENTS[type] ?? 'content.other')

/** Units are stored apart from the texts that carry them: `{codes}` stands where the buyer got them. */
const withCodes = (text: string): string => text.replaceAll('{codes}', t('content.codes'))

/** The text of a message that was sent. */
export const sentText = ({ text, has_units }: Pick<Sending, 'text' | 'has_units'>): string =>
  (has_units ? withCodes(text) : text) || t('content.image')

/** The newest text of a chat. */
export const lastText = ({ last_text, last_direction }: Pick<Chat, 'last_text' | 'last_direction'>): string =>
  (last_direction === 'out' ? withCodes(last_text) : last_text) || t('content.other')

/** The colour of what became of a sending; the word stands beside it. */
export const OUTCOME_TONES: Record<Outcome, string> = {
  waiting: 'muted',
  sending: 'muted',
  sent: 'good',
  refused: 'bad',
  uncertain: 'warn',
  dropped: 'muted',
}
