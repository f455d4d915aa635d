/** Webhooks as the pages show them. */
import type { Attempt, Webhook } from '../common/api'
import type { Tone } from '../common/ui/ToneMark.vue'
import { labelOf } from '../i18n'

export const EVENT_KINDS = ['incident', 'state', 'message', 'order', 'delivery', 'change'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

export type WebhookState = 'off' | 'down' | 'gone' | 'failing' | 'working' | 'new'

/** How a webhook fares, in one word. */
export function stateOf(webhook: Webhook): WebhookState {
  if (!webhook.active) return webhook.off_reason || 'off'
  if (webhook.failing_since) return 'failing'
  return webhook.arrived_at ? 'working' : 'new'
}

export const STATE_TONES: Readonly<Record<WebhookState, Tone>> = {
  off: 'muted',
  down: 'bad',
  gone: 'bad',
  failing: 'warn',
  working: 'good',
  new: 'muted',
}

/** What the receiver answered to a call, or why there is no answer. */
export function answerOf(one: Pick<Attempt, 'status' | 'error' | 'answer'>): string {
  const status = one.status === null ? '' : `HTTP ${one.status}`
  return [status, one.error && labelOf('webhooks.errors', one.error), one.answer].filter(Boolean).join(' · ')
}
