/** The drafts of the model that wait in any chat, kept current by the line: for the list of chats and the chat itself. */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import { useAccounts } from '../accounts/store'
import { call, type Page } from '../common/api'
import { useLine } from '../common/line'
import type { LiveEvent } from '../common/live'
import type { Run } from './shapes'

const MOST = 200
const SOON_MS = 120

/** What may bring or end a draft. */
const CONCERNS: ReadonlySet<LiveEvent['type']> = new Set(['model', 'decision', 'pause', 'sending'])

const placeOf = (account: string, chat: string): string => `${account}/${chat}`

export const useDraftRuns = defineStore('draftRuns', () => {
  const line = useLine()
  const accounts = useAccounts()
  const drafts = shallowRef(new Map<string, Run>())
  const loaded = ref(false)
  /** Who has no shop with a model that drafts is not asked about. */
  const wanted = computed(() => accounts.list.some((account) => account.desired.ai_mode === 'draft'))
  let turn = 0
  let timer = 0

  async function load(): Promise<void> {
    const own = ++turn
    try {
      const found =
        wanted.value || drafts.value.size
          ? (await call<Page<Run>>('GET', '/ai-runs', { query: { state: 'drafted', limit: MOST } })).items
          : []
      if (own !== turn) return
      drafts.value = new Map(found.toReversed().map((run) => [placeOf(run.account, run.chat_id), run]))
      loaded.value = true
    } catch {
      // The line sends the next event; the chat itself says what cannot be loaded.
    }
  }

  function soon(): void {
    clearTimeout(timer)
    timer = window.setTimeout(load, SOON_MS)
  }

  watch(
    () => line.lastEvents,
    (events) => {
      if ((wanted.value || drafts.value.size) && events.some((event) => CONCERNS.has(event.type))) soon()
    },
  )
  watch([() => line.state, wanted], ([state]) => state === 'live' && soon(), { immediate: true })

  const of = (account: string, chat: string): Run | undefined => drafts.value.get(placeOf(account, chat))

  /** A draft that was sent or dropped here is gone before the server reports it. */
  function forget(run: Run): void {
    const rest = new Map(drafts.value)
    if (rest.get(placeOf(run.account, run.chat_id))?.id === run.id) rest.delete(placeOf(run.account, run.chat_id))
    drafts.value = rest
  }

  return { of, load, forget, loaded }
})
