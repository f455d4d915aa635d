/** Where a finding of the diagnosis is mended: a page of the shop, or one of all shops, narrowed to it by a query. */
import type { Router } from 'vue-router'
import type { Check } from '../common/api'
import { t } from '../i18n'

interface Place {
  name: string
  label: 'rules' | 'settings' | 'conversations' | 'orders' | 'model'
  query?: Record<string, string>
}

const PLACES: Partial<Record<Check['name'], Place>> = {
  answers: { name: 'account-rules', label: 'rules' },
  limits: { name: 'account-settings', label: 'settings' },
  proxy: { name: 'account-settings', label: 'settings' },
  hours: { name: 'account-settings', label: 'settings' },
  filter: { name: 'account-settings', label: 'settings' },
  model: { name: 'account-model', label: 'model' },
  cooldown: { name: 'account-rules', label: 'rules' },
  pause: { name: 'conversations', label: 'conversations', query: { filter: 'held' } },
  sendings: { name: 'conversations', label: 'conversations', query: {} },
  overdue: { name: 'conversations', label: 'conversations', query: { filter: 'waiting' } },
  delivery: { name: 'account-settings', label: 'settings' },
  orders: { name: 'orders', label: 'orders', query: { filter: 'hand' } },
  payments: { name: 'orders', label: 'orders', query: { filter: 'hand' } },
}

/** The link to where a finding about the shop `id` is mended, if there is such a page. */
export function placeOf(check: Check, id: string, router: Router) {
  const one = PLACES[check.name]
  if (!one || !router.hasRoute(one.name)) return null
  return {
    label: t(`account.act.${one.label}`),
    to: one.query ? { name: one.name, query: { cid: id, ...one.query } } : { name: one.name, params: { id } },
  }
}
