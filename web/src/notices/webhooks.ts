/** Webhooks as the pages show them. */
import type { Webhook } from '../common/api'
import type { Tone } from '../common/ui/ToneMark.vue'

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
