/** What keeps a form from being saved: a sentence, and the field of the body that it is about. */

import { t } from '../i18n'

/** A sentence alone, or what was thrown. */
export type Trouble = string | Error

export const asTrouble = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))
export const sentenceOf = (trouble: Trouble): string => (typeof trouble === 'string' ? trouble : trouble.message)
export const fieldOf = (trouble: Trouble): string =>
  typeof trouble !== 'string' && 'field' in trouble ? String(trouble.field) : ''

/** A field of the form that is empty: `label` is what it is called there. */
export const missing = (field: string, label: string): Error =>
  Object.assign(new Error(t('missing', { field: label })), { field })

const TYPED_IN = 'textarea, input:not([type=file]), select, button, [tabindex="0"]'

/** Bring the field of a form into sight and put the caret there. What is folded away is opened. */
export function leadTo(form: HTMLElement, field: string): void {
  const place = placeOf(form, field)
  const target = place?.matches(TYPED_IN) ? place : place?.querySelector<HTMLElement>(TYPED_IN)
  if (target) see(target)
}

/** The same for a field at hand. */
export function see(target: HTMLElement): void {
  for (let fold = target.closest('details'); fold; fold = fold.parentElement?.closest('details') ?? null)
    fold.open = true
  target.scrollIntoView({ block: 'center' })
  target.focus({ preventScroll: true })
}

/** Where a field stands: `rules.0.parts.1` is looked for by each part of that name, the longest first. */
function placeOf(form: HTMLElement, field: string): HTMLElement | null {
  const steps = field.split('.')
  for (let length = steps.length; length; length--) {
    for (let from = steps.length - length; from >= 0; from--) {
      const name = CSS.escape(steps.slice(from, from + length).join('.'))
      const found = form.querySelector<HTMLElement>(`[data-field="${name}"], [name="${name}"]`)
      if (found) return found
    }
  }
  return null
}
