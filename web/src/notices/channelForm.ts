/** What the form of a channel holds, and what is sent of it. */
import type { Channel, Incident, NoticeService } from '../common/api'
import { names, t } from '../i18n'
import type { Messages } from '../i18n/messages'

export interface Quiet {
  from: string
  to: string
  zone: string
}

export type Kind = keyof Messages['notices']['kinds']

/** What a kind of incident is called. A kind of the server without a text here does not compile. */
export const kindName = (kind: Incident['kind']): string => t(`notices.kinds.${kind}`)

/** Every kind of incident. */
export const allKinds = (): Kind[] => names('notices.kinds')
/** Kinds which a channel reports only when it names them. */
const ASKED_FOR: ReadonlySet<string> = new Set<Kind>(['buyer_waits', 'day'])
const usual = (): string[] => allKinds().filter((kind) => !ASKED_FOR.has(kind))

/** The kinds that stand for an empty list, which limits to none. */
export const shownKinds = (kinds: readonly string[]): string[] => [...(kinds.length ? kinds : usual())]

/** The list to send for the kinds that are chosen: empty for the usual ones, so that kinds to come are among them. */
export function sentKinds(chosen: readonly string[]): string[] {
  const all = usual()
  const isUsual = chosen.length === all.length && all.every((kind) => chosen.includes(kind))
  return isUsual ? [] : [...chosen]
}

export interface Form {
  name: string
  fields: Record<string, string>
  language: 'zh' | 'en'
  quiet: Quiet | null
  least: Channel['least']
  buyer_words: boolean
  kinds: string[]
  accounts: string[]
}

/** Return the form of a channel, or of a new one. */
export function formOf(channel: Channel | undefined, language: 'zh' | 'en', name = ''): Form {
  return {
    name: channel?.name ?? name,
    fields: {},
    language: channel?.language ?? language,
    quiet: channel?.quiet ?? null,
    least: channel?.least ?? 'info',
    buyer_words: channel?.buyer_words ?? false,
    kinds: shownKinds([]),
    accounts: [],
  }
}

/** The fields as they are sent: without those that were left empty. */
export function sentFields(service: NoticeService, fields: Readonly<Record<string, string>>): Record<string, string> {
  const known = service.fields.map(({ name, default: usual }) => [name, (fields[name] ?? '').trim() || usual] as const)
  return Object.fromEntries(known.filter(([, value]) => value))
}

/** What of a form belongs to the channel itself. */
export const channelValues = ({ name, language, quiet, least, buyer_words }: Form) => ({
  name: name.trim(),
  language,
  quiet,
  least,
  buyer_words,
})
