/** Rules brought into other shops: looked at first in each, then copied, with the way back. */
import { computed, ref, type ShallowRef } from 'vue'
import { call, Refusal, type RulesReplaced, why } from '../common/api'
import { count } from '../common/clock'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import { bring, type Mode, touches } from './ruleLists'
import type { valuesOf } from './rules'

export interface CopyRow {
  id: string
  /** What would happen there, or did. */
  found: RulesReplaced | null
  problem: string
  done: boolean
  stale: boolean
}

/** So many shops are asked at a time: each takes its turn in the server anyhow. */
const AT_ONCE = 4

/** `copied` are the rules without ids: in another shop they are known by what they answer. */
export function useRulesCopy(copied: ShallowRef<ReturnType<typeof valuesOf>[]>, mode: () => Mode) {
  const toasts = useToasts()
  const rows = ref<CopyRow[]>([])
  const busy = ref(false)
  const finished = ref(false)

  function begin(): void {
    rows.value = []
    finished.value = false
  }

  async function each(list: CopyRow[], what: (row: CopyRow) => Promise<void>): Promise<void> {
    const queue = [...list]
    const work = async (): Promise<void> => {
      for (let row = queue.shift(); row; row = queue.shift()) await what(row)
    }
    busy.value = true
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    busy.value = false
  }

  async function look(row: CopyRow): Promise<void> {
    row.found = null
    row.problem = ''
    try {
      row.found = await bring(row.id, copied.value, mode(), { dry: true })
    } catch (error) {
      row.problem = why(error)
    }
  }

  async function preview(ids: Iterable<string>): Promise<void> {
    rows.value = [...ids].map((id) => ({ id, found: null, problem: '', done: false, stale: false }))
    await each(rows.value, look)
  }

  async function copy(row: CopyRow): Promise<void> {
    if (!row.found) return
    try {
      row.found = await bring(row.id, copied.value, mode(), { dry: false, generation: row.found.generation })
      row.done = true
      row.problem = ''
    } catch (error) {
      row.stale = error instanceof Refusal && error.status === 412
      if (row.stale) await look(row)
      else row.problem = why(error)
    }
  }

  const waiting = computed(() => rows.value.filter((row) => !row.done && row.found && touches(row.found)))
  const lost = computed(() => rows.value.filter((row) => !row.done && (row.problem || row.stale)))

  /** Copy to every shop that it would change; answers whether none is left. */
  async function go(): Promise<boolean> {
    const asked = waiting.value
    for (const row of asked) row.stale = false
    await each(asked, copy)
    finished.value = true
    const changed = asked.flatMap((row) => (row.done && row.found?.changed ? [row.found.rev] : []))
    if (changed.length)
      toasts.done(t('ruleLists.copied', { n: count(changed.length) }), {
        label: t('app.undo'),
        run: () => void undo(changed),
      })
    return !lost.value.length
  }

  async function undo(revs: number[]): Promise<void> {
    const problems: string[] = []
    for (const rev of revs) {
      await call('POST', `/history/${rev}/undo`, { query: { wait: 0 } }).catch((error: unknown) =>
        problems.push(why(error)),
      )
    }
    if (problems.length)
      toasts.refused(t('ruleLists.undoFailed', { n: count(problems.length), why: problems[0] ?? '' }))
    else toasts.done(t('app.undone'))
  }

  async function again(): Promise<boolean> {
    await each(
      lost.value.filter((row) => row.problem),
      look,
    )
    return await go()
  }

  return { rows, busy, finished, waiting, lost, begin, preview, go, again }
}
