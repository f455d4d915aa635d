/** The language of the console: that of the browser until somebody chooses another one. */
import { computed } from 'vue'
import { createI18n } from 'vue-i18n'
import { en } from './en'
import type { Key } from './messages'
import { zh } from './zh'

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

export const i18n = createI18n({
  legacy: false,
  locale: first(),
  fallbackLocale: 'zh',
  messages: { zh, en },
})

export const locale = i18n.global.locale

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
    | 'stock.why'
    | 'webhooks.errors'
    | `model.${'decisions' | 'roles' | 'pageWhy'}`
    | `runs.${'rails' | 'why'}`
    | `moving.${'kinds' | 'systems'}`
    | `notices.${'services' | 'fields' | 'where' | 'choices'}`
    | `security.${'kinds' | 'outcomes' | 'facts'}`
    | `orders.${'states' | 'act' | 'actState' | 'why' | 'source'}`,
  name: string,
  otherwise = name,
): string {
  const key = `${group}.${name}`
  return i18n.global.te(key) ? i18n.global.t(key) : otherwise
}

export function choose(next: Locale): void {
  locale.value = next
  localStorage.setItem(CHOSEN, next)
}
