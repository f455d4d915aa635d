/** What a page shows of the server, and how it is kept current. */
import { onScopeDispose, ref, watch } from 'vue'
import { t } from '../i18n'
import { why } from './api'
import { useLine } from './line'
import type { LiveEvent } from './live'

interface Options {
  /** Whether an event of the line concerns the page, which is then loaded again. */
  mine?: (event: LiveEvent) => boolean
  /** How long after that, in milliseconds: events within this time cause no second load. */
  after?: number
  /** Shows an error in its own way and answers `true`, or leaves it to `problem`. */
  failed?: (error: unknown) => boolean
}

/**
 * Load with `ask` and show the answer with `show`, again whenever the line was away or brings an event that is `mine`,
 * and once more when the line comes after the first load.
 *
 * An answer that a newer question has overtaken is not shown. The first load is the caller's.
 */
export function useLive<T>(
  ask: () => Promise<T>,
  show: (found: T) => void | Promise<void>,
  { mine, after = 0, failed }: Options = {},
) {
  const line = useLine()
  const problem = ref('')
  let turn = 0
  let timer = 0
  let due = 0
  /** Whether it was asked before the line reported anything: no event reports what happens between the two. */
  let isEarly = false

  async function load(): Promise<void> {
    const own = ++turn
    isEarly ||= line.state === 'connecting'
    try {
      const found = await ask()
      if (own !== turn) return
      problem.value = ''
      await show(found)
    } catch (error) {
      if (own === turn && !failed?.(error)) problem.value = t('errors.load', { why: why(error) })
    }
  }

  /** Load in so many milliseconds, or earlier if that was asked for before. */
  function soon(wait: number): void {
    const at = Date.now() + wait
    if (timer && due <= at) return
    clearTimeout(timer)
    due = at
    timer = window.setTimeout(() => {
      timer = 0
      void load()
    }, wait)
  }

  watch(
    () => line.state,
    (state, was) => {
      if (state !== 'live') return
      if (was === 'lost' || was === 'full' || (isEarly && mine)) void load()
      isEarly = false
    },
  )
  if (mine) {
    watch(
      () => line.lastEvents,
      (events) => events.some(mine) && soon(after),
    )
  }
  onScopeDispose(() => {
    clearTimeout(timer)
    turn += 1
  })

  return { problem, load, soon }
}
