/** What is open over a page, or half-written in it: whoever leaves is asked first, so that nothing typed is lost. */
import { nextTick, onScopeDispose } from 'vue'
import { t } from '../i18n'

/** A step to another address: `isBack` by the browser's own buttons, `isSamePage` to another part of the same page. `again`
 * makes it once more. */
export interface Step {
  isBack: boolean
  isSamePage: boolean
  again: () => void
}

interface Open {
  /** Whether leaving would lose something. */
  isDirty: () => boolean
  mayLeave: (step: Step) => boolean
}

const open: Open[] = []

function warn(event: BeforeUnloadEvent): void {
  if (isUnsaved()) event.preventDefault()
}

/** Whether something would be lost by leaving now. */
export const isUnsaved = (): boolean => open.some((one) => one.isDirty())

/** Take something for open until the answer is called. The browser asks before it leaves what is dirty, or loads it again. */
export function opened(one: Open): () => void {
  if (!open.length) window.addEventListener('beforeunload', warn)
  open.push(one)
  return () => {
    const place = open.indexOf(one)
    if (place >= 0) open.splice(place, 1)
    if (!open.length) window.removeEventListener('beforeunload', warn)
  }
}

/** Whether the step may be made. The newest of what is open decides first, and may ask. */
export async function mayLeave(step: Step): Promise<boolean> {
  await nextTick() // what was closed just now is gone then
  return [...open].reverse().every((one) => one.mayLeave(step))
}

/** Give up all that is half-written: who wrote it is not the one who is here now. */
export function dropUnsaved(): void {
  open.length = 0
  window.removeEventListener('beforeunload', warn)
}

/** Ask before a form that stands in a page is left with something in it. */
export function useUnsaved(isDirty: () => boolean): void {
  onScopeDispose(
    opened({ isDirty, mayLeave: (step) => step.isSamePage || !isDirty() || window.confirm(t('account.leave')) }),
  )
}
