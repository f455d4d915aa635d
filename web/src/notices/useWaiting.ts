/** The buyers whose question waits for a person: counted in the title, announced by a sound or a notice of the browser. */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import { useAccounts } from '../accounts/store'
import { type Chat, call, type Page } from '../common/api'
import { useLine } from '../common/line'
import type { components } from '../common/schema'
import { useSession } from '../common/session'
import { t } from '../i18n'
import { counted, fresh, keyOf, moments, takeOn } from './alerts'
import { worker } from './push'
import { play } from './sound'

export type PageAlerts = components['schemas']['PageAlertsShape']

const MOST = 50
const SOON_MS = 1_000
const ABOUT_CHATS = new Set(['message', 'decision', 'sending', 'pause', 'chat'])
/** More notices at once than these are one. */
const MOST_NOTICES = 3

export const useWaiting = defineStore('waiting', () => {
  const accounts = useAccounts()
  const line = useLine()
  const session = useSession()
  const alerts = ref<PageAlerts>()
  const chats = shallowRef<Chat[]>([])
  const isMore = ref(false)
  let known: Set<string> | null = null
  let timer = 0
  let due = 0

  /** "3", or "50+" where there are more; empty when none waits, or none is to be counted. */
  const badge = computed(() =>
    alerts.value?.title && chats.value.length ? `${chats.value.length}${isMore.value ? '+' : ''}` : '',
  )

  async function look(): Promise<void> {
    timer = 0
    if (!session.user) return
    try {
      alerts.value ??= await call<PageAlerts>('GET', '/me/alerts')
      const { title, sound, notify, accounts: shops } = alerts.value
      if (!title && !sound && !notify) return
      const page = await call<Page<Chat>>('GET', '/chats', { query: { waiting: true, limit: MOST } })
      chats.value = counted(page.items, shops, Date.now())
      isMore.value = page.next !== null && chats.value.length === page.items.length
      const news = known ? takeOn(fresh(chats.value, known)) : []
      known = moments(chats.value)
      if (news.length) await showAlerts(news)
    } catch {
      // What is shown stays: the pages themselves show what is wrong.
    }
  }

  async function showAlerts(news: Chat[]): Promise<void> {
    if (alerts.value?.sound) play()
    if (!alerts.value?.notify || !('Notification' in window) || Notification.permission !== 'granted') return
    const { active } = await worker()
    if (!active) return
    const registration = await navigator.serviceWorker.ready
    const show = (title: string, body: string, tag: string, page: string) =>
      registration.showNotification(title, { body, tag, icon: '/console/icon-192.png', data: { page } })
    if (news.length > MOST_NOTICES) {
      await show(t('push.waitingMany', { n: news.length }), '', 'waiting', '/console/conversations?filter=waiting')
      return
    }
    for (const chat of news) {
      const page = `/console/conversations/${encodeURIComponent(chat.account)}/${encodeURIComponent(chat.chat_id)}`
      const name = chat.buyer_name || chat.buyer_id
      await show(t('push.waitingOne', { name }), accounts.nameOf(chat.account), keyOf(chat), page)
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
    (state) => state === 'live' && soon(0),
    { immediate: true },
  )
  watch(
    () => line.lastEvents,
    (events) => events.some((event) => ABOUT_CHATS.has(event.type)) && soon(SOON_MS),
  )
  watch(
    () => session.user?.user_id,
    () => {
      alerts.value = undefined
      chats.value = []
      known = null
    },
  )

  /** Choose what an open page does. */
  async function choose(next: PageAlerts): Promise<void> {
    alerts.value = await call<PageAlerts>('PUT', '/me/alerts', { body: next })
    chats.value = counted(chats.value, alerts.value.accounts, Date.now())
    known = null
    soon(0)
  }

  return { alerts, badge, chats, choose, look }
})
