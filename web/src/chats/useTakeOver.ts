/** Taking over a chat and giving it back: shown at once, taken back where the server refuses, and undone from a note. */
import type { Ref } from 'vue'
import { type Chat, call, type Pause, path, why } from '../common/api'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'

export function useTakeOver(
  place: () => { account: string; chat: string },
  facts: Ref<Chat | null | undefined>,
  name: Readonly<Ref<string>>,
) {
  const toasts = useToasts()
  const pausePath = (): string => path('cookies', place().account, 'chats', place().chat, 'pause')

  async function take(minutes: number): Promise<void> {
    const before = facts.value
    if (!before) return
    const until = new Date(Date.now() + minutes * 60_000).toISOString()
    facts.value = { ...before, paused_until: until, pause_reason: 'taken_over', pause_actor: '' }
    try {
      const pause = await call<Pause>('PUT', pausePath(), { body: { minutes } })
      facts.value = { ...before, paused_until: pause.until, pause_reason: pause.reason, pause_actor: pause.actor }
      const undo = { label: t('app.undo'), run: () => void giveBack() }
      toasts.done(t('conversations.took', { name: name.value }), undo)
    } catch (error) {
      facts.value = before
      toasts.refused(t('conversations.notTaken', { why: why(error) }))
    }
  }

  async function giveBack(): Promise<void> {
    const before = facts.value
    if (!before) return
    const minutes = Math.ceil((Date.parse(before.paused_until ?? '') - Date.now()) / 60_000) || 60
    facts.value = { ...before, paused_until: null, pause_reason: null, pause_actor: '' }
    try {
      await call('DELETE', pausePath())
      const undo = { label: t('app.undo'), run: () => void take(minutes) }
      toasts.done(t('conversations.gaveBack', { name: name.value }), undo)
    } catch (error) {
      facts.value = before
      toasts.refused(t('conversations.notGiven', { why: why(error) }))
    }
  }

  return { take, giveBack }
}
