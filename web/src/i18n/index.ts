/** The language of the console: that of the browser until somebody chooses another one. Only its texts are loaded. */
import { computed, type WritableComputedRef } from 'vue'
import { createI18n } from 'vue-i18n'
import type { Key, Messages } from './messages'

export type { Key } from './messages'
export type Locale = 'zh' | 'en'

const CHOSEN = 'shoal.language'

function first(): Locale {
  const chosen = localStorage.getItem(CHOSEN)
  if (chosen === 'zh' || chosen === 'en') return chosen
  for (const tag of navigator.languages) {
    if (/^zh\b/i.test(tag)) return 'zh'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'zh'
}

export const i18n = createI18n({ legacy: false, locale: first() as string, fallbackLocale: false })

export const locale = i18n.global.locale as WritableComputedRef<Locale>

/** The texts by part: `first` for the sign-in and whatever may show without it, `pages` for all else. */
const parts = {
  first: { zh: () => import('virtual:texts/zh/first'), en: () => import('virtual:texts/en/first') },
  pages: { zh: () => import('virtual:texts/zh/pages'), en: () => import('virtual:texts/en/pages') },
}
const loaded: (keyof typeof parts)[] = []
let wanted: Locale = locale.value

async function load(part: keyof typeof parts, language: Locale): Promise<void> {
  i18n.global.mergeLocaleMessage(language, (await parts[part][language]()).default)
}

/** Load what the pages say. The router asks for it before the first of them. */
export async function loadPages(): Promise<void> {
  if (loaded.includes('pages')) return
  await load('pages', locale.value)
  loaded.push('pages')
}

await load('first', locale.value)
loaded.push('first')

/** The language as a tag for the page, for dates and for `Accept-Language`. */
export const languageTag = computed(() => (locale.value === 'zh' ? 'zh-CN' : 'en'))

/** Return a text in the current language. The number `n` among the params, also one with separators, chooses the plural. */
export function t(key: Key, params: Record<string, string | number> = {}): string {
  const count = Number(String(params.n ?? '').replace(/[\s,.’]/g, '') || Number.NaN)
  return Number.isNaN(count) ? i18n.global.t(key, params) : i18n.global.t(key, params, count)
}

/** The text for a name from the server; `otherwise` when there is no text of that name. */
export function labelOf(
  group:
    | 'reason'
    | 'state'
    | 'outcome'
    | 'content'
    | 'decision'
    | 'fields'
    | 'hints'
    | `stock.${'by' | 'why'}`
    | 'webhooks.errors'
    | `model.${'decisions' | 'roles' | 'pageWhy'}`
    | `runs.${'rails' | 'why'}`
    | `moving.${'kinds' | 'systems'}`
    | `notices.${'services' | 'fields' | 'where' | 'choices'}`
    | `users.${'roles' | 'permissions' | 'me.kinds'}`
    | `security.${'kinds' | 'outcomes' | 'facts' | 'steps'}`
    | `orders.${'states' | 'act' | 'actState' | 'why' | 'source'}`,
  name: string,
  otherwise = name,
): string {
  const key = `${group}.${name}`
  return i18n.global.te(key) ? i18n.global.t(key) : otherwise
}

/** Whether there is a text of this name: for names from the server. */
export const has = (key: string): key is Key => i18n.global.te(key)

type GroupOf<M, P extends string> = P extends `${infer K}.${infer Rest}`
  ? K extends keyof M
    ? GroupOf<M[K], Rest>
    : never
  : P extends keyof M
    ? keyof M[P] & string
    : never

/** The names of a group of texts, in their order. */
export function names<P extends string>(group: P): GroupOf<Messages, P>[] {
  return Object.keys(i18n.global.tm(group)) as GroupOf<Messages, P>[]
}

/** Show the console in a language, once its texts have come. The last choice holds. */
export async function choose(next: Locale): Promise<void> {
  wanted = next
  localStorage.setItem(CHOSEN, next)
  await Promise.all(loaded.map((part) => load(part, next)))
  if (wanted === next) locale.value = next
}
