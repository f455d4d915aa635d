/** Messages and replies by time, as the overview sums them up. */
import type { Span } from '../common/api'

export const midnight = (): Date => {
  const today = new Date()
  today.setHours(0, 0, 0, 0)
  return today
}

/** How many messages came and were answered since midnight. */
export function todayOf(spans: Span[]): { messages: number; sent: number } {
  const start = midnight().getTime()
  const found = { messages: 0, sent: 0 }
  for (const span of spans) {
    if (Date.parse(span.at) < start) continue
    found.messages += span.messages
    found.sent += span.sent
  }
  return found
}

/** The spans to draw: the last 24 hours, or the week in steps of six hours. */
export function drawnOf(spans: Span[], range: 'day' | 'week'): Span[] {
  if (range === 'day') return spans.slice(-24)
  const found: Span[] = []
  for (let i = 0; i < spans.length; i += 6) {
    const six = spans.slice(i, i + 6)
    const sum = (of: (span: Span) => number): number => six.reduce((total, span) => total + of(span), 0)
    found.push({
      at: six[0]?.at ?? '',
      messages: sum((one) => one.messages),
      sent: sum((one) => one.sent),
      failed: sum((one) => one.failed),
    })
  }
  return found
}
