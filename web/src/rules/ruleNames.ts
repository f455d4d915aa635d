/** The words of rules by their id, asked for once each: a reply says only by which rule it was given. */
import { defineStore } from 'pinia'
import { reactive, watch } from 'vue'
import { call, path, Refusal } from '../common/api'
import { useLine } from '../common/line'
import { t } from '../i18n'

/** What a reply is given by when it is no rule. */
const SOURCES = {
  item_reply: 'conversations.ruleSources.item_reply',
  default_reply: 'conversations.ruleSources.default_reply',
  model: 'conversations.ruleSources.model',
} as const

export const useRuleNames = defineStore('ruleNames', () => {
  const line = useLine()
  /** The words; `null` of a rule that is gone, `undefined` while they are asked for. */
  const words = reactive(new Map<string, string[] | null | undefined>())

  async function ask(account: string, rule: string): Promise<void> {
    const key = `${account}/${rule}`
    words.set(key, words.get(key))
    try {
      words.set(key, (await call<{ words: string[] }>('GET', path('cookies', account, 'rules', rule))).words)
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) words.set(key, null)
      else words.delete(key)
    }
  }

  watch(
    () => line.recent[0],
    (change) => {
      if (!change || !('keywords' in change.changes)) return
      for (const key of words.keys()) {
        if (key.startsWith(`${change.account}/`)) void ask(change.account, key.slice(change.account.length + 1))
      }
    },
  )

  /** The source of a reply, for a user; empty while unknown. */
  function name(account: string, rule: string): string {
    if (rule in SOURCES) return t(SOURCES[rule as keyof typeof SOURCES])
    const found = words.get(`${account}/${rule}`)
    if (found === null) return t('conversations.ruleGone')
    return found ? t('conversations.rule', { words: found.join(' / ') }) : ''
  }

  /** Ask for the words of rules that are not known yet. */
  function want(account: string, rules: Iterable<string>): void {
    for (const rule of rules) {
      if (rule && !(rule in SOURCES) && !words.has(`${account}/${rule}`)) void ask(account, rule)
    }
  }

  return { name, want }
})
