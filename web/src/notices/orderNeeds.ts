/** What waits for its owner: how many orders, as far as a badge shows, and the payments that name no order. */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import { useAccounts } from '../accounts/store'
import { call, type Message, type Order, type Page, path } from '../common/api'
import { useLine } from '../common/line'

const MOST = 20
const SOON_MS = 1_000
/** Messages come all the time; few of them are about a payment. */
const LATER_MS = 5_000

export const useOrderNeeds = defineStore('orderNeeds', () => {
  const accounts = useAccounts()
  const line = useLine()
  /** How many wait, of which only the first of each kind are counted. */
  const number = ref(0)
  const isMore = ref(false)
  /** "3", or "20+" where there are more; empty when none waits. */
  const badge = computed(() => (number.value ? `${number.value}${isMore.value ? '+' : ''}` : ''))
  const payments = shallowRef<Message[]>([])
  let timer = 0
  let due = 0

  async function look(): Promise<void> {
    timer = 0
    if (!accounts.loaded) return
    try {
      const [orders, unknown] = await Promise.all([
        call<Page<Order>>('GET', '/orders', { query: { problem: true, limit: MOST } }),
        call<Page<Message>>('GET', '/messages', { query: { decision: 'paid_unknown', handled: false, limit: MOST } }),
      ])
      payments.value = unknown.items
      number.value = orders.items.length + unknown.items.length
      isMore.value = Boolean(orders.next || unknown.next)
    } catch {
      // The badge stays as it was: the page of the orders says what is wrong.
    }
  }

  function soon(after: number): void {
    const at = Date.now() + after
    if (timer && due <= at) return
    clearTimeout(timer)
    due = at
    timer = window.setTimeout(look, after)
  }

  watch(
    () => line.state,
    (line) => {
      if (line === 'live') soon(0)
    },
    { immediate: true },
  )
  watch(
    () => line.lastEvents,
    (events) => {
      if (events.some((event) => event.type === 'order')) soon(SOON_MS)
      else if (events.some((event) => event.type === 'message' || event.type === 'decision')) soon(LATER_MS)
    },
  )

  /** Record that a payment is handled. */
  async function settle({ account, message_id }: Message): Promise<void> {
    await call('POST', path('cookies', account, 'messages', message_id, 'settle'))
    soon(0)
  }

  return { badge, number, isMore, payments, settle }
})
