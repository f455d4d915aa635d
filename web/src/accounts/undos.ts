/** Changes taken back by this page. */
import { defineStore } from 'pinia'
import { type ChangeFacts, call, why } from '../common/api'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'

export const useUndos = defineStore('undos', () => {
  const toasts = useToasts()
  let times = 0
  let end = Promise.resolve()

  /** The way back of a change that really changed something. */
  function undoing(facts: ChangeFacts): { label: string; run: () => void } | undefined {
    return facts.changed ? { label: t('app.undo'), run: () => void undo(facts.rev) } : undefined
  }

  function undo(rev: number): Promise<void> {
    times += 1
    const own = takeBack(rev)
    end = Promise.all([end, own]).then(() => undefined)
    return own
  }

  async function takeBack(rev: number): Promise<void> {
    try {
      await call('POST', `/history/${rev}/undo`, { query: { wait: 0 } })
      toasts.done(t('app.undone'))
    } catch (error) {
      toasts.refused(why(error))
    }
  }

  /** How many there were, and when all of them have ended. */
  const takenBack = (): { times: number; end: Promise<void> } => ({ times, end })

  return { undo, undoing, takenBack }
})
