/** The pages of the frame: what they are called, how they are reached, and which one is open. */
import { Boxes, History, LayoutDashboard, MessagesSquare, Settings, ShoppingBag, Store } from '@lucide/vue'
import { computed } from 'vue'
import { useRoute } from 'vue-router'
import { useAccounts } from '../accounts/store'
import { count } from '../common/clock'
import type { Key } from '../i18n'
import { useOrderNeeds } from '../notices/orderNeeds'
import { useWaiting } from '../notices/useWaiting'

export const PLACES = [
  { name: 'overview', title: 'nav.overview', icon: LayoutDashboard, key: 'o' },
  { name: 'accounts', title: 'nav.accounts', icon: Store, key: 's' },
  { name: 'conversations', title: 'nav.conversations', icon: MessagesSquare, key: 'c' },
  { name: 'orders', title: 'nav.orders', icon: ShoppingBag, key: 'd' },
  { name: 'stock', title: 'nav.stock', icon: Boxes, key: 'k' },
  { name: 'history', title: 'nav.history', icon: History, key: 'h' },
  { name: 'settings', title: 'nav.settings', icon: Settings, key: 'e' },
] as const satisfies { name: string; title: Key; icon: unknown; key: string }[]

/** The pages that a phone shows in its tab bar; the others stand behind "More". */
export const TABS = PLACES.slice(0, 4)
export const REST = PLACES.slice(4)

export type PlaceName = (typeof PLACES)[number]['name']

const HINTS: Partial<Record<PlaceName, Key>> = {
  accounts: 'accounts.hand',
  conversations: 'nav.waiting',
  orders: 'orders.hand',
}

export function usePlaces() {
  const route = useRoute()
  const accounts = useAccounts()
  const orders = useOrderNeeds()
  const waiting = useWaiting()

  /** How much waits on a page, as its badge says it; empty when nothing does. */
  const badges = computed<Partial<Record<PlaceName, string>>>(() => ({
    accounts: accounts.counts.hand ? count(accounts.counts.hand) : '',
    conversations: waiting.badge,
    orders: orders.badge,
  }))

  const isHere = (name: PlaceName): boolean =>
    route.name === name ||
    (name === 'accounts' && /^account($|-)/.test(String(route.name))) ||
    (name === 'stock' && route.name === 'stock-goods') ||
    (name === 'settings' && String(route.name).startsWith('settings-'))

  return { badges, hints: HINTS, isHere }
}
