/** The pages of the frame: what they are called, how they are reached, and which one is open. */
import { Boxes, History, LayoutDashboard, MessagesSquare, ServerCog, Settings, ShoppingBag, Store } from '@lucide/vue'
import { computed } from 'vue'
import { useRoute } from 'vue-router'
import { useAccounts } from '../accounts/store'
import { count } from '../common/clock'
import { useSession } from '../common/session'
import type { Key } from '../i18n'
import { useOrderNeeds } from '../notices/orderNeeds'
import { useWaiting } from '../notices/useWaiting'

const PLACES = [
  { name: 'overview', title: 'nav.overview', icon: LayoutDashboard, key: 'o' },
  { name: 'accounts', title: 'nav.accounts', icon: Store, key: 's' },
  { name: 'conversations', title: 'nav.conversations', icon: MessagesSquare, key: 'c' },
  { name: 'orders', title: 'nav.orders', icon: ShoppingBag, key: 'd' },
  { name: 'stock', title: 'nav.stock', icon: Boxes, key: 'k' },
  { name: 'history', title: 'nav.history', icon: History, key: 'h' },
  { name: 'settings', title: 'nav.settings', icon: Settings, key: 'e' },
  { name: 'admin', title: 'nav.admin', icon: ServerCog, key: 'a', admin: true },
] as const satisfies { name: string; title: Key; icon: unknown; key: string; admin?: true }[]

/** The pages that a phone shows in its tab bar; the others are behind "More". */
export const TABS = PLACES.slice(0, 4)

export type PlaceName = (typeof PLACES)[number]['name']

const HINTS: Partial<Record<PlaceName, Key>> = {
  accounts: 'accounts.hand',
  conversations: 'nav.waiting',
  orders: 'orders.hand',
}

/** Red is for what only the owner can mend; a buyer who waits is everyday work. */
const isCalm = (name: PlaceName): boolean => name === 'conversations'

export function usePlaces() {
  const route = useRoute()
  const session = useSession()
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
    (name === 'settings' && String(route.name).startsWith('settings-')) ||
    (name === 'admin' && String(route.name).startsWith('admin-'))

  /** The pages of this user: the administration is there for administrators only. */
  const places = computed(() => PLACES.filter((place) => !('admin' in place) || session.user?.is_admin))
  const rest = computed(() => places.value.slice(TABS.length))

  return { places, rest, badges, hints: HINTS, isHere, isCalm }
}
