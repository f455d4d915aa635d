/** What can be changed in many shops at once by a form: the settings of each dialog, and how each is typed. */
import type { SharedSettings } from '../common/api'

export type FormKind = 'reply' | 'hours' | 'settings'
export type Field = keyof SharedSettings
type Shape = 'flag' | 'text' | 'line' | 'number'

/** The settings of each dialog, in their order. */
export const FIELDS: Record<FormKind, readonly (readonly [Field, Shape])[]> = {
  reply: [
    ['default_reply_enabled', 'flag'],
    ['default_reply', 'text'],
    ['default_reply_once', 'flag'],
  ],
  hours: [
    ['opening_hours', 'text'],
    ['holidays', 'text'],
    ['away_reply', 'text'],
    ['timezone', 'line'],
  ],
  settings: [
    ['replies', 'flag'],
    ['delivery', 'flag'],
    ['free_shipping', 'flag'],
    ['pause_duration', 'number'],
    ['debounce_seconds', 'number'],
    ['buyer_replies_per_hour', 'number'],
    ['shop_replies_per_minute', 'number'],
    ['paid_message', 'text'],
    ['handoff_words', 'text'],
    ['handoff_reply', 'text'],
    ['filter_contacts', 'flag'],
    ['filter_links', 'flag'],
  ],
}

/** What a setting that was just ticked is set to until something else is chosen; a number must be typed. */
export const firstValue = (shape: Shape): boolean | string | null =>
  shape === 'flag' ? true : shape === 'number' ? null : ''
