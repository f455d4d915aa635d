/** One chat: what was said and sent, kept current; whose turn it is; and the owner's own words on their way. */
import { computed, ref, watch } from 'vue'
import { type Chat, call, type Message, type Page, path, Refusal, type Sending, type Sent, why } from '../common/api'
import { useLive } from '../common/liveData'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import { useRuleNames } from '../rules/ruleNames'
import { draftOf, forgetAside, keepDraft, setAside } from './drafts'
import { type Entry, renewed, thread } from './thread'
import { useTakeOver } from './useTakeOver'

const PAGE = 50
const SOON_MS = 150

interface Place {
  account: string
  chat: string
}

/** What is on its way and not yet in the list. */
export interface Leaving {
  kind: 'leaving'
  key: string
  text: string
}

/** What a renewal brought: the first view of the chat, or a newer entry at its end. */
export interface Renewal {
  isFirst: boolean
  isNewer: boolean
}

/** What to say of a message that did not arrive for certain. */
function failure(sent: Sent): string {
  if (sent.outcome === 'refused') return t('conversations.wasRefused', { why: sent.reason })
  if (sent.outcome === 'uncertain') return t('conversations.wasUncertain')
  return sent.outcome === 'dropped' ? t('conversations.wasDropped') : ''
}

/** What the output filter holds back may be sent all the same. */
function offered(error: unknown, insist: () => void): { label: string; run: () => void } | undefined {
  const isFiltered = error instanceof Refusal && error.code === 'filtered'
  return isFiltered ? { label: t('conversations.sendAnyway'), run: insist } : undefined
}

/** `shown` runs with each renewal, before the page draws it. */
export function useThread(place: () => Place, shown: (renewal: Renewal) => void | Promise<void>) {
  const rules = useRuleNames()
  const toasts = useToasts()
  /** `undefined` until they are loaded, `null` when the chat is not known. */
  const facts = ref<Chat | null>()
  const messages = ref<Message[]>([])
  const sendings = ref<Sending[]>([])
  const next = ref<{ messages: string | null; sendings: string | null }>({ messages: null, sendings: null })
  const loaded = ref(false)
  const leaving = ref<Leaving[]>([])
  let keys = 0

  const name = computed(() => facts.value?.buyer_name || facts.value?.buyer_id || t('conversations.noName'))
  const isMore = computed(() => ({ messages: next.value.messages !== null, sendings: next.value.sendings !== null }))
  const entries = computed<Entry[]>(() => thread(messages.value, sendings.value, isMore.value))

  const where = () => ({ cid: place().account, chat: place().chat })
  const loadFacts = () => call<Page<Chat>>('GET', '/chats', { query: { ...where(), limit: 1 } })
  const loadMessages = (cursor?: string, limit = PAGE) =>
    call<Page<Message>>('GET', '/messages', { query: { ...where(), limit, cursor } })
  const loadSendings = (cursor?: string, limit = PAGE) =>
    call<Page<Sending>>('GET', '/sendings', { query: { ...where(), limit, cursor } })

  /** The newest of everything, joined to what is there. */
  const { problem, load } = useLive(
    () => Promise.all([loadFacts(), loadMessages(), loadSendings()]),
    ([chats, said, sent]) => {
      const known = entries.value.at(-1)?.key
      const isFirst = !loaded.value
      const both = { said: renewed(messages.value, said.items), sent: renewed(sendings.value, sent.items) }
      facts.value = chats.items[0] ?? null
      next.value = {
        messages: both.said.joins ? next.value.messages : said.next,
        sendings: both.sent.joins ? next.value.sendings : sent.next,
      }
      messages.value = both.said.rows
      sendings.value = both.sent.rows
      loaded.value = true
      return shown({ isFirst, isNewer: entries.value.at(-1)?.key !== known })
    },
    {
      mine: (talk) => {
        const { account, chat } = place()
        return talk.account === account && (talk.chat === undefined || talk.chat === chat)
      },
      after: SOON_MS,
    },
  )

  /** What is older, of whichever list ends later. */
  async function loadOlder(rows = PAGE): Promise<void> {
    const { account, chat } = place()
    const isOther = (): boolean => place().account !== account || place().chat !== chat
    const end = (rows: { at: string }[]): number => Date.parse(rows.at(-1)?.at ?? '') || 0
    const { messages: more, sendings: moreSent } = next.value
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
      toasts.refused(t('errors.load', { why: why(error) }))
    }
  }

  watch(
    () => [place().account, place().chat],
    () => {
      facts.value = undefined
      messages.value = []
      sendings.value = []
      leaving.value = []
      loaded.value = false
      void load()
    },
    { immediate: true },
  )
  watch(sendings, (rows) => rules.want(place().account, new Set(rows.map((row) => row.rule_id ?? ''))))

  const { take, giveBack } = useTakeOver(place, facts, name)

  /** Send the owner's words; a failure puts them back into their draft. `anyway`: also what the output filter holds back. */
  async function send(text: string, takeOver: boolean, anyway = false): Promise<void> {
    const { account, chat } = place()
    const key = `w${++keys}`
    leaving.value = [...leaving.value, { kind: 'leaving', key, text }]
    setAside(account, chat)
    const buyer = facts.value?.buyer_id
    try {
      const body = { chat_id: chat, text, take_over: takeOver, anyway, ...(buyer && { to_user_id: buyer }) }
      const sent = await call<Sent>('POST', path('cookies', account, 'send'), { body })
      forgetAside(account, chat)
      const failed = failure(sent)
      if (failed) toasts.refused(failed)
    } catch (error) {
      const insist = (): void => {
        if (place().account !== account || place().chat !== chat) return // it would go to another buyer
        if (draftOf(account, chat) === text) keepDraft(account, chat, '')
        void send(text, takeOver, true)
      }
      toasts.refused(t('conversations.notSent', { why: why(error) }), offered(error, insist))
      if (!draftOf(account, chat)) keepDraft(account, chat, text) // also when another chat is open by now
    }
    if (place().chat === chat && place().account === account) await load()
    leaving.value = leaving.value.filter((one) => one.key !== key)
  }

  /** What is on its way. The stored row may be there already: it is not shown twice. */
  const waiting = computed(() => {
    const open = sendings.value
      .filter((one) => one.kind === 'manual' && one.outcome === 'sending')
      .map((one) => one.text)
    return leaving.value.filter((one) => {
      const at = open.indexOf(one.text)
      if (at >= 0) open.splice(at, 1)
      return at < 0
    })
  })

  return { facts, name, entries, isMore, waiting, loaded, problem, load, loadOlder, take, giveBack, send }
}
