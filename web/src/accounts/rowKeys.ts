/** Keys in the table of shops: arrows lead to the same control of the row above or below, "x" selects the row. */
import { nextTick, type Ref } from 'vue'
import type { Account } from '../common/api'

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 }

/** Answers with what is to be done with a key that is pressed within a row. */
export function useRowKeys(shown: Ref<Account[]>, toggle: (id: string) => void, scrollTo: (id: string) => void) {
  return async (event: KeyboardEvent): Promise<void> => {
    const from = event.target as HTMLElement
    const row = from.closest<HTMLElement>('[data-account]')
    const id = row?.dataset.account
    if (!row || id === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === 'x') toggle(id)
    const step = STEPS[event.key]
    if (step === undefined) return
    event.preventDefault()
    const to = shown.value.findIndex((account) => account.id === id) + step
    const next = shown.value[to]
    if (!next) return
    scrollTo(next.id)
    await nextTick()
    const cell = from.closest('[role=cell]')
    const place = [...row.children].indexOf(cell ?? row)
    const there = document.querySelector(`[data-account="${CSS.escape(next.id)}"]`)?.children[Math.max(place, 0)]
    there?.querySelector<HTMLElement>('a, button, [tabindex]')?.focus()
  }
}
