/** Messages and replies of each shop since midnight, asked for while a page shows them. */
import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { call } from '../common/api'

const EVERY_MS = 60_000

interface Count {
  account: string
  messages: number
  replies: number
}

export const useToday = defineStore('today', () => {
  const counts = shallowRef(new Map<string, Count>())
  let timer = 0
  let users = 0

  async function load(): Promise<void> {
    if (document.hidden) return
    const midnight = new Date()
    midnight.setHours(0, 0, 0, 0)
    try {
      const query = { since: midnight.toISOString() }
      const { items } = await call<{ items: Count[] }>('GET', '/activity/shops', { query })
      counts.value = new Map(items.map((one) => [one.account, one]))
    } catch {
      // The last counts stay; the line says when the server does not answer.
    }
  }

  /** Ask now and each minute, until the returned function is called. */
  function follow(): () => void {
    if (users++ === 0) {
      void load()
      timer = window.setInterval(() => void load(), EVERY_MS)
    }
    return () => {
      if (--users === 0) clearInterval(timer)
    }
  }

  const messages = (id: string): number => counts.value.get(id)?.messages ?? 0
  const replies = (id: string): number => counts.value.get(id)?.replies ?? 0

  return { counts, follow, messages, replies }
})
