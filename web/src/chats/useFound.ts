/** The words that were looked for in the list of chats, found again in the chat that was opened from it. */
import { computed, type Ref, ref, watch } from 'vue'
import { call, type Message, type Page } from '../common/api'
import type { Entry } from './thread'

const MOST_PAGES = 25
const ROWS = 200

interface Searched {
  entries: Ref<Entry[]>
  isMore: Ref<{ messages: boolean; sendings: boolean }>
  loaded: Ref<boolean>
  loadOlder: (rows?: number) => Promise<void>
}

/** The newest entry that says the words; nothing where none does. */
export function newestWith(entries: readonly Entry[], words: string): string | undefined {
  const wanted = words.trim().toLowerCase()
  if (!wanted) return undefined
  const textOf = (entry: Entry): string => (entry.kind === 'message' ? entry.message.text : entry.sending.text)
  return entries.findLast((entry) => textOf(entry).toLowerCase().includes(wanted))?.key
}

/** `show` brings an entry into view. Older pages are loaded only for a chat that has the words. */
export function useFound(
  thread: Searched,
  place: () => { account: string; chat: string },
  words: () => string,
  show: (key: string) => Promise<void>,
) {
  const isFar = ref(false)
  const found = computed(() => newestWith(thread.entries.value, words()))
  let turn = 0

  async function has(): Promise<boolean> {
    const { account, chat } = place()
    const query = { account, chat, q: words().trim(), limit: 1 }
    return (await call<Page<Message>>('GET', '/messages', { query })).items.length > 0
  }

  async function seek(): Promise<void> {
    const own = ++turn
    isFar.value = false
    if (!words().trim()) return
    if (!found.value && !(await has().catch(() => false))) return
    for (let page = 0; !found.value && page < MOST_PAGES && own === turn; page++) {
      if (!thread.isMore.value.messages && !thread.isMore.value.sendings) break
      await thread.loadOlder(ROWS)
    }
    if (own !== turn) return
    if (found.value) await show(found.value)
    else isFar.value = thread.isMore.value.messages
  }

  watch(
    thread.loaded,
    (now) => {
      if (now) void seek()
      else turn += 1
    },
    { flush: 'post' },
  )
  // Other words while the chat is open: only what is loaded is searched.
  watch(words, () => {
    isFar.value = false
    if (thread.loaded.value && found.value) void show(found.value)
  })

  return { found, isFar }
}
