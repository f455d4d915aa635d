/** What keeps the form of a dialog from being saved, told beside its buttons, with the caret in the field. */
import { nextTick, type Ref, ref, watch } from 'vue'
import { t } from '../../i18n'
import { fieldOf, leadTo, see, sentenceOf, type Trouble } from '../faults'

export function useFaults(form: Ref<HTMLElement | undefined>, problem: () => Trouble | undefined) {
  /** The sentence: of the server, or of the browser about a field. It goes with the next word that is typed. */
  const told = ref('')

  watch(
    problem,
    async (now = '') => {
      told.value = sentenceOf(now)
      await nextTick()
      if (now && form.value) leadTo(form.value, fieldOf(now))
    },
    { immediate: true },
  )

  /** A form with several such fields reports each: the first one is shown, in the form's own words. */
  function invalid(event: Event): void {
    event.preventDefault()
    const first = form.value?.querySelector<HTMLTextAreaElement>('textarea:invalid, input:invalid, select:invalid')
    if (!first || event.target !== first) return
    const name = first.labels?.[0]?.querySelector('span')?.textContent ?? ''
    told.value = first.validity.valueMissing ? t('missing', { field: name }) : first.validationMessage
    see(first)
  }

  const typed = (): void => {
    told.value = ''
  }

  return { told, invalid, typed }
}
