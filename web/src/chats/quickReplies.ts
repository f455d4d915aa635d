/** The quick replies that may be used in a shop, and their changes. */
import { defineStore } from 'pinia'
import { reactive } from 'vue'
import { call, type Page, path, why } from '../common/api'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import type { QuickReply } from './quick'

export interface QuickWords {
  shortcut: string
  text: string
  account: string | null
}

export const useQuickReplies = defineStore('quickReplies', () => {
  const toasts = useToasts()
  const known = reactive(new Map<string, QuickReply[]>())

  const of = (account: string): QuickReply[] => known.get(account) ?? []

  /** Load those of a shop; what is known stays where the server does not answer. */
  async function load(account: string): Promise<void> {
    try {
      const page = await call<Page<QuickReply>>('GET', '/quick-replies', { query: { account } })
      known.set(account, page.items)
    } catch (error) {
      toasts.refused(t('errors.load', { why: why(error) }))
    }
  }

  const keep = async (id: number | null, words: QuickWords, position?: number): Promise<void> => {
    const body = { ...words, ...(position !== undefined && { position }) }
    if (id === null) await call('POST', '/quick-replies', { body })
    else await call('PUT', path('quick-replies', String(id)), { body })
  }
  const remove = async (id: number): Promise<void> => {
    await call('DELETE', path('quick-replies', String(id)))
  }

  /** Let two neighbours change their places. Positions that are alike are made different first. */
  async function swap(rows: readonly QuickReply[], from: number, to: number): Promise<void> {
    const next = [...rows]
    next.splice(to, 0, ...next.splice(from, 1))
    for (const [place, one] of next.entries()) {
      if (one.may_change && one.position !== place) {
        await keep(one.id, { shortcut: one.shortcut, text: one.text, account: one.account }, place)
      }
    }
  }

  return { of, load, keep, remove, swap }
})
