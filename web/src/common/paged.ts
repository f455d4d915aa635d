/** A list that the server gives page by page, newest first: renewed at its top, continued at its end. */
import { onMounted, onScopeDispose, ref, shallowRef } from 'vue'
import { t } from '../i18n'
import { type Page, why } from './api'
import { joined, type Kind } from './joined'
import { useLive } from './liveData'

/** `ask` gives the first page, or the one at a cursor. */
export function usePaged<T>(ask: (cursor?: string) => Promise<Page<T>>, kind: Kind<T>) {
  const rows = shallowRef<T[] | null>(null)
  const next = ref<string | null>(null)
  const busy = ref(false)
  /** Rises when something else is sought: what was asked before is not an answer to that. */
  let search = 0
  let askedAt = 0

  const live = useLive(
    () => {
      askedAt = Date.now()
      return ask()
    },
    (page) => {
      const whole = joined({ items: rows.value ?? [], next: next.value }, page, kind)
      rows.value = whole.items
      next.value = whole.next
    },
  )
  const { problem, load } = live

  async function loadMore(): Promise<void> {
    const cursor = next.value
    if (!cursor || busy.value) return
    const mine = search
    busy.value = true
    try {
      const page = await ask(cursor)
      if (mine !== search || cursor !== next.value) return
      const known = new Set((rows.value ?? []).map(kind.key))
      rows.value = [...(rows.value ?? []), ...page.items.filter((row) => !known.has(kind.key(row)))]
      next.value = page.next
    } catch (error) {
      if (mine === search) problem.value = t('errors.load', { why: why(error) })
    } finally {
      busy.value = false
    }
  }

  /** Something else is sought. */
  function restart(): Promise<void> {
    search += 1
    rows.value = null
    next.value = null
    return load()
  }

  /** Load again: at once, but not twice within this many milliseconds. */
  function soon(apart: number): void {
    live.soon(Math.max(0, askedAt + apart - Date.now()))
  }

  onMounted(load)
  onScopeDispose(() => {
    search += 1
  })

  return { rows, next, problem, busy, load, loadMore, restart, soon }
}
