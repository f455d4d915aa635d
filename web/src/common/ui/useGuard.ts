/** Keeps a dialog from being closed over something that would be lost: it asks first. */
import { type InjectionKey, inject, nextTick, onScopeDispose, provide, type Ref, ref } from 'vue'
import { t } from '../../i18n'
import { opened } from '../unsaved'

/** Says what would be lost, or nothing. */
type Loss = () => string
const LOSSES: InjectionKey<Set<Loss>> = Symbol('losses')

/** Something in a dialog that is lost with it, such as a secret that is shown once. */
export function useLoss(loss: Loss): void {
  const losses = inject(LOSSES, null)
  losses?.add(loss)
  onScopeDispose(() => losses?.delete(loss))
}

/** `draft`: what is filled in, or nothing where nothing can be lost. */
export function useGuard(dialog: Ref<HTMLDialogElement | undefined>, show: Ref<boolean>, draft: () => unknown) {
  const losses = new Set<Loss>()
  provide(LOSSES, losses)
  /** The question that stands in place of the buttons. */
  const asked = ref('')
  const written = (): string => JSON.stringify(draft()) ?? ''
  let before = ''
  let forget = (): void => {}
  let place: Element | null = null
  /** Where somebody wanted to go when the question came up. */
  let onward = (): void => {}

  function loss(): string {
    for (const one of losses) if (one()) return one()
    return draft() === undefined || written() === before ? '' : t('app.unsaved')
  }

  /** The dialog has opened: what is filled in is nobody's work yet. */
  function begin(): void {
    before = written()
    forget = opened({
      isDirty: () => loss() !== '',
      mayLeave: (step) => {
        if (!step.isBack && !loss()) return true
        if (!asked.value) close()
        if (!step.isBack) onward = step.again
        return false
      },
    })
  }

  function end(): void {
    forget()
    asked.value = ''
  }

  /** Close it, or ask; a second wish while it asks takes the question back. */
  function close(): void {
    if (asked.value) {
      stay()
      return
    }
    const words = loss()
    if (!words) {
      show.value = false
      return
    }
    if (!dialog.value?.open) dialog.value?.showModal() // a browser closed it by itself
    place = document.activeElement
    asked.value = words
    void nextTick().then(() => dialog.value?.querySelector<HTMLElement>('[data-test=keep-on]')?.focus())
  }

  /** Close it all the same, and go where that was asked for. */
  function discard(): void {
    show.value = false
    void nextTick().then(onward)
    onward = () => {}
  }

  function stay(): void {
    asked.value = ''
    onward = () => {}
    if (place instanceof HTMLElement && dialog.value?.contains(place)) place.focus()
  }

  return { asked, begin, end, close, discard, stay }
}
