/** The work on a chat: who has it, and whether it is open, put off or done. Shown at once, taken back where refused. */
import { type Ref, watch } from 'vue'
import { type Chat, call, path, why } from '../common/api'
import { clockTime } from '../common/clock'
import type { components } from '../common/schema'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'

export type Work = components['schemas']['WorkShape']
type Standing = Pick<Chat, 'status' | 'snoozed_until' | 'assignee'>
type Change = Partial<Pick<Chat, 'status' | 'assignee'>> & { until?: string; received?: number }

const standingOf = ({ status, snoozed_until, assignee }: Standing): Standing => ({ status, snoozed_until, assignee })

export function useWork(
  place: () => { account: string; chat: string },
  facts: Ref<Chat | null | undefined>,
  name: Readonly<Ref<string>>,
) {
  const toasts = useToasts()

  /** Make a change and show it; `text` is shown then, and `back` undoes it. */
  async function make(change: Change, text: string, back?: Change): Promise<void> {
    const before = facts.value
    const { account, chat } = place()
    if (!before) return
    const isHere = (): boolean => place().account === account && place().chat === chat
    const { status = before.status, assignee = before.assignee } = change
    const snoozed_until = change.status ? (change.until ?? null) : before.snoozed_until
    facts.value = { ...before, status, assignee, snoozed_until }
    try {
      const now = await call<Work>('PUT', path('cookies', account, 'chats', chat, 'work'), { body: change })
      if (isHere() && facts.value) facts.value = { ...facts.value, ...standingOf(now) }
      const undo = back && { label: t('app.undo'), run: () => void (isHere() && make(back, t('work.undone'))) }
      toasts.done(text, undo)
    } catch (error) {
      if (isHere() && facts.value) facts.value = { ...facts.value, ...standingOf(before) }
      toasts.refused(t('work.notDone', { why: why(error) }))
    }
  }

  /** How it stands now, as a change that brings it back. */
  function back(): Change {
    const { status, snoozed_until } = facts.value ?? { status: 'open' as const, snoozed_until: null }
    return status === 'snoozed' && snoozed_until ? { status, until: snoozed_until } : { status }
  }

  const done = (): Promise<void> =>
    make({ status: 'done', received: facts.value?.received ?? 0 }, t('work.toasts.done', { name: name.value }), back())
  const reopen = (): Promise<void> => make({ status: 'open' }, t('work.toasts.open', { name: name.value }), back())
  const snooze = (until: Date): Promise<void> =>
    make(
      { status: 'snoozed', until: until.toISOString(), received: facts.value?.received ?? 0 },
      t('work.toasts.snoozed', { name: name.value, until: clockTime(until.toISOString(), Date.now()) }),
      back(),
    )
  const assign = (to: string | null): Promise<void> =>
    make({ assignee: to }, to ? t('work.toasts.assigned', { name: to }) : t('work.toasts.unassigned'), {
      assignee: facts.value?.assignee ?? null,
    })

  return { done, reopen, snooze, assign }
}

/** What a user has open counts as seen: it is reported to the server once for each count. */
export function useSeen(place: () => { account: string; chat: string }, facts: Ref<Chat | null | undefined>): void {
  let reported = ''

  async function report(): Promise<void> {
    const now = facts.value
    const { account, chat } = place()
    if (!now?.unread || document.hidden || now.account !== account || now.chat_id !== chat) return
    const mark = `${account}/${chat}/${now.received}`
    if (mark === reported) return
    reported = mark
    try {
      await call('PUT', path('cookies', account, 'chats', chat, 'seen'), { body: { received: now.received } })
    } catch {
      reported = '' // it stays unread, and is reported with the next look
    }
  }

  watch(facts, report)
  watch(
    () => place().chat,
    (_, __, ended) => {
      document.addEventListener('visibilitychange', report)
      ended(() => document.removeEventListener('visibilitychange', report))
    },
    { immediate: true },
  )
}
