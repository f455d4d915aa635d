/** The pages of the frame: what they are called, how they are reached, and which one is open. */
import { Boxes, History, LayoutDashboard, MessagesSquare, ServerCog, Settings, ShoppingBag, Store } from '@lucide/vue'
import { computed } from 'vue'
import { type RouteLocationNormalized, useRoute } from 'vue-router'
import { useAccounts } from '../accounts/store'
import { count } from '../common/clock'
import { useSession } from '../common/session'
import type { Key } from '../i18n'
import { useOpenIncidents } from '../notices/openIncidents'
import { useOrderNeeds } from '../notices/orderNeeds'
import { useWaiting } from '../notices/useWaiting'

const PLACES = [
  { name: 'overview', title: 'nav.overview', icon: LayoutDashboard, key: 'o' },
  { name: 'accounts', title: 'nav.accounts', icon: Store, key: 's' },
  { name: 'conversations', title: 'nav.conversations', icon: MessagesSquare, key: 'c' },
  { name: 'orders', title: 'nav.orders', icon: ShoppingBag, key: 'd' },
  { name: 'stock', title: 'nav.stock', icon: Boxes, key: 'k', owner: true },
  { name: 'history', title: 'nav.history', icon: History, key: 'h' },
  { name: 'settings', title: 'nav.settings', icon: Settings, key: 'e' },
  { name: 'admin', title: 'nav.admin', icon: ServerCog, key: 'a', admin: true },
] as const satisfies { name: string; title: Key; icon: unknown; key: string; owner?: true; admin?: true }[]

/** The pages that a phone shows in its tab bar; the others are behind "More". */
export const TABS = PLACES.slice(0, 4)

export type PlaceName = (typeof PLACES)[number]['name']

const HINTS: Partial<Record<PlaceName, Key>> = {
  accounts: 'accounts.hand',
  conversations: 'nav.waiting',
  orders: 'orders.hand',
  stock: 'orders.hand',
  settings: 'orders.hand',
  admin: 'orders.hand',
}

/** Where one acts on incidents that are not about shops, orders or chats: the first part of a page's address. */
const OF_PLACE: Partial<Record<PlaceName, string>> = { stock: 'stock', settings: 'settings', admin: 'administration' }

/** The id of the shop whose page it is; empty elsewhere. */
export const shopOf = ({ name, params }: Pick<RouteLocationNormalized, 'name' | 'params'>): string =>
  /^account($|-)/.test(String(name)) ? String(params.id) : ''

/** Red is for what only the owner can mend; a buyer who waits is everyday work. */
const isCalm = (name: PlaceName): boolean => name === 'conversations'

export function usePlaces() {
  const route = useRoute()
  const session = useSession()
  const accounts = useAccounts()
  const orders = useOrderNeeds()
  const waiting = useWaiting()
  const open = useOpenIncidents()

  const othersOf = (name: PlaceName): number =>
    open.others.filter((one) => one.page.split('/')[0] === OF_PLACE[name]).length

  /** How much waits on a page, as its badge says it; empty when nothing does. */
  const badges = computed<Partial<Record<PlaceName, string>>>(() => ({
    accounts: accounts.counts.hand ? count(accounts.counts.hand) : '',
    conversations: waiting.badge,
    orders: orders.badge,
    ...Object.fromEntries(rest.value.map(({ name }) => [name, othersOf(name) ? count(othersOf(name)) : ''])),
  }))
  /** How much waits on the pages that a phone shows behind "More". */
  const restBadge = computed(() => {
    const number = rest.value.reduce((sum, { name }) => sum + othersOf(name), 0)
    return number ? count(number) : ''
  })

  const isHere = (name: PlaceName): boolean =>
    route.name === name ||
    (name === 'accounts' && shopOf(route) !== '') ||
    (name === 'stock' && route.name === 'stock-goods') ||
    (name === 'settings' && String(route.name).startsWith('settings-')) ||
    (name === 'admin' && String(route.name).startsWith('admin-'))

  /** The pages of this user: the stock is there for who may own shops, the administration for administrators only. */
  const places = computed(() =>
    PLACES.filter(
      (place) => !('admin' in place && !session.user?.is_admin) && !('owner' in place && session.role === 'staff'),
    ),
  )
  const rest = computed(() => places.value.slice(TABS.length))

  return { places, rest, badges, restBadge, hints: HINTS, isHere, isCalm }
}
