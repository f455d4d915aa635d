/** How many orders wait for their owner, as far as a badge tells. */
import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { useAccounts } from '../accounts/store'
import { call, type Order, type Page } from '../common/api'
import { useLine } from '../common/line'

const MOST = 20
const SOON_MS = 1_000

export const useOrderNeeds = defineStore('orderNeeds', () => {
  const accounts = useAccounts()
  const line = useLine()
  /** "3", or "20+" where there are more; empty when none waits. */
  const badge = ref('')
  let timer = 0

  async function look(): Promise<void> {
    timer = 0
    if (!accounts.loaded) return
    try {
      const { items, next } = await call<Page<Order>>('GET', '/orders', { query: { problem: true, limit: MOST } })
      badge.value = items.length ? `${items.length}${next ? '+' : ''}` : ''
    } catch {
      // The badge stays as it was: the page of the orders tells what is wrong.
    }
  }

  function soon(after: number): void {
    if (!timer) timer = window.setTimeout(look, after)
  }

  watch(
    () => line.state,
    (line) => {
      if (line === 'live') soon(0)
    },
    { immediate: true },
  )
  watch(
    () => line.talked,
    (talks) => talks.some((talk) => talk.type === 'order') && soon(SOON_MS),
  )

  return { badge }
})
