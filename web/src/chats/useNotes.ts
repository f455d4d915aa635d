/** The notes on a chat: for those who work on it, never sent to the buyer. */
import { ref, watch } from 'vue'
import { call, type Page, path, why } from '../common/api'
import { useLive } from '../common/liveData'
import type { components } from '../common/schema'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import { keepDraft } from './drafts'

export type Note = components['schemas']['NoteShape']

/** The name under which the draft of a note is kept; no chat has such an id. */
export const noteDraft = (chat: string): string => `${chat}#note`

export function useNotes(place: () => { account: string; chat: string }) {
  const toasts = useToasts()
  const notes = ref<Note[]>([])
  const where = (...more: string[]): string => path('cookies', place().account, 'chats', place().chat, 'notes', ...more)

  const { load } = useLive(
    () => call<Page<Note>>('GET', where()),
    (page) => {
      notes.value = page.items
    },
    {
      mine: (event) =>
        event.type === 'chat' &&
        event.what === 'note' &&
        event.account === place().account &&
        event.chat === place().chat,
      failed: () => true, // the thread itself shows that the server is away
    },
  )
  watch(
    () => [place().account, place().chat],
    () => {
      notes.value = []
      void load()
    },
    { immediate: true },
  )

  /** Keep a note; where that fails, the words go back into their draft. */
  async function add(text: string): Promise<void> {
    const { account, chat } = place()
    keepDraft(account, noteDraft(chat), '')
    try {
      await call<Note>('POST', where(), { body: { text } })
    } catch (error) {
      keepDraft(account, noteDraft(chat), text)
      toasts.refused(t('work.noteNotKept', { why: why(error) }))
    }
    await load()
  }

  async function remove(id: number): Promise<void> {
    try {
      await call('DELETE', where(String(id)))
    } catch (error) {
      toasts.refused(t('work.noteNotDeleted', { why: why(error) }))
    }
    await load()
  }

  return { notes, add, remove }
}
