/** One chat: its messages and sendings, kept current; whose turn it is; and the owner's own words on their way. */
import { computed, ref, shallowRef, watch } from 'vue'
import { type Chat, call, type Message, type Page, type Sending, why } from '../common/api'
import { useLive } from '../common/liveData'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import { useRuleNames } from '../rules/ruleNames'
import { type Entry, renewed, thread } from './thread'
import { useSending } from './useSending'
import { useTakeOver } from './useTakeOver'
import { useSeen, useWork } from './useWork'

const PAGE = 50
const SOON_MS = 150

interface Place {
  account: string
  chat: string
}

/** What a renewal brought: the first view of the chat, or a newer entry at its end. */
export interface Renewal {
  isFirst: boolean
  isNewer: boolean
}

/** `shown` runs with each renewal, before the page draws it. */
export function useThread(place: () => Place, shown: (renewal: Renewal) => void | Promise<void>) {
  const rules = useRuleNames()
  const toasts = useToasts()
  /** `undefined` until they are loaded, `null` when the chat is not known. */
  const facts = ref<Chat | null>()
  const messages = shallowRef<Message[]>([])
  const sendings = shallowRef<Sending[]>([])
  const next = ref<{ messages: string | null; sendings: string | null }>({ messages: null, sendings: null })
  const loaded = ref(false)

  const name = computed(() => facts.value?.buyer_name || facts.value?.buyer_id || t('conversations.noName'))
  const isMore = computed(() => ({ messages: next.value.messages !== null, sendings: next.value.sendings !== null }))
  const entries = computed<Entry[]>(() => thread(messages.value, sendings.value, isMore.value))

  const where = () => ({ account: place().account, chat: place().chat })
  const loadFacts = () => call<Page<Chat>>('GET', '/chats', { query: { ...where(), limit: 1 } })
  const loadMessages = (cursor?: string, limit = PAGE) =>
    call<Page<Message>>('GET', '/messages', { query: { ...where(), limit, cursor } })
  const loadSendings = (cursor?: string, limit = PAGE) =>
    call<Page<Sending>>('GET', '/sendings', { query: { ...where(), limit, cursor } })

  /** The newest of everything, joined to what is there. */
  const { problem, load } = useLive(
    () => Promise.all([loadFacts(), loadMessages(), loadSendings()]),
    ([chats, messagePage, sendingPage]) => {
      const known = entries.value.at(-1)?.key
      const isFirst = !loaded.value
      const newMessages = renewed(messages.value, messagePage.items)
      const newSendings = renewed(sendings.value, sendingPage.items)
      facts.value = chats.items[0] ?? null
      next.value = {
        messages: newMessages.joins ? next.value.messages : messagePage.next,
        sendings: newSendings.joins ? next.value.sendings : sendingPage.next,
      }
      messages.value = newMessages.rows
      sendings.value = newSendings.rows
      loaded.value = true
      return shown({ isFirst, isNewer: entries.value.at(-1)?.key !== known })
    },
    {
      mine: (event) => {
        const { account, chat } = place()
        if (event.type === 'chat' && (event.what === 'note' || event.what === 'seen')) return false
        return event.account === account && (event.chat === undefined || event.chat === chat)
      },
      after: SOON_MS,
    },
  )

  let older: Promise<void> | null = null
  /** Older entries could not be loaded: only who asks for them again gets them. */
  const isStuck = ref(false)

  /** What is older, of whichever list ends later: one page at a time, whoever asks meanwhile. */
  function loadOlder(rows = PAGE): Promise<void> {
    const own = older ?? olderPage(rows)
    older = own
    return own.finally(() => {
      if (older === own) older = null
    })
  }

  async function olderPage(rows: number): Promise<void> {
    const { account, chat } = place()
    const isOther = (): boolean => place().account !== account || place().chat !== chat
    const end = (rows: { at: string }[]): number => Date.parse(rows.at(-1)?.at ?? '') || 0
    const { messages: more, sendings: moreSent } = next.value
    isStuck.value = false
    try {
      if (more && (!moreSent || end(messages.value) >= end(sendings.value))) {
        const page = await loadMessages(more, rows)
        if (isOther()) return
        messages.value = [...messages.value, ...page.items]
        next.value = { ...next.value, messages: page.next }
      } else if (moreSent) {
        const page = await loadSendings(moreSent, rows)
        if (isOther()) return
        sendings.value = [...sendings.value, ...page.items]
        next.value = { ...next.value, sendings: page.next }
      }
    } catch (error) {
      if (isOther()) return
      isStuck.value = true
      toasts.refused(t('errors.load', { why: why(error) }))
    }
  }

  watch(
    () => [place().account, place().chat],
    () => {
      facts.value = undefined
      messages.value = []
      sendings.value = []
      next.value = { messages: null, sendings: null }
      older = null
      isStuck.value = false
      loaded.value = false
      void load()
    },
    { immediate: true },
  )
  watch(sendings, (rows) => rules.want(place().account, new Set(rows.map((row) => row.rule_id ?? ''))))

  const { take, giveBack } = useTakeOver(place, facts, name)
  const work = useWork(place, facts, name)
  useSeen(place, facts)

  const { waiting, send } = useSending(place, () => facts.value?.buyer_id, sendings, load)

  const lists = { entries, isMore, isStuck, waiting, loaded, problem, load, loadOlder }
  return { facts, name, ...lists, take, giveBack, work, send }
}
