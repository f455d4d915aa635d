/** What people did with a chat beside writing in it: who took it, put it off, called it done. */
import { ref, watch } from 'vue'
import { call, path } from '../common/api'
import { clockTime } from '../common/clock'
import { actorName } from '../common/describe'
import { useLive } from '../common/liveData'
import type { components } from '../common/schema'
import { t } from '../i18n'

export type Entry = components['schemas']['WorkEntryShape']
type Work = components['schemas']['WorkAndEntries']

export function useEntries(place: () => { account: string; chat: string }) {
  const entries = ref<Entry[]>([])

  const { load } = useLive(
    () => call<Work>('GET', path('cookies', place().account, 'chats', place().chat, 'work')),
    (work) => {
      entries.value = work.events.filter((one) => one.what !== 'note') // the notes themselves stand in the thread
    },
    {
      mine: (event) =>
        event.type === 'chat' &&
        event.what !== 'seen' &&
        event.account === place().account &&
        event.chat === place().chat,
      failed: () => true, // the thread itself shows that the server is away
    },
  )
  watch(
    () => [place().account, place().chat],
    () => {
      entries.value = []
      void load()
    },
    { immediate: true },
  )
  return entries
}

/** One of them as a sentence. */
export function entryText({ actor, what, after, until }: Entry, now: number): string {
  const name = actorName(actor)
  if (what === 'note_deleted') return t('work.did.noteDeleted', { name })
  if (what === 'assignee')
    return after ? t('work.did.assigned', { name, to: after }) : t('work.did.unassigned', { name })
  if (after === 'snoozed') return t('work.did.snoozed', { name, until: until ? clockTime(until, now) : '…' })
  return after === 'done' ? t('work.did.done', { name }) : t('work.did.opened', { name })
}
