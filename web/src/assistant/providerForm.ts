/** The form of a provider: what its fields hold, and what is sent of them. */
import { toFen, toYuan } from './money'
import type { Provider, ProviderKind } from './shapes'

export interface ProviderForm {
  kind: ProviderKind
  name: string
  /** Only what is typed now: the stored key is not shown. */
  base_url: string
  key: string
  model: string
  priceIn: number | null
  priceOut: number | null
  calls_per_minute: number | null
  perDay: number | null
}

const CALLS_PER_MINUTE = 30

export function formOf(provider: Provider | undefined): ProviderForm {
  return {
    kind: provider?.kind ?? 'openai',
    name: provider?.name ?? '',
    base_url: '',
    key: '',
    model: provider?.model ?? '',
    priceIn: toYuan(provider?.price_in_fen ?? 0),
    priceOut: toYuan(provider?.price_out_fen ?? 0),
    calls_per_minute: provider?.calls_per_minute ?? CALLS_PER_MINUTE,
    perDay: toYuan(provider?.fen_per_day ?? null),
  }
}

/** What is sent: address and key only when they were written. */
export function bodyOf(form: ProviderForm): Record<string, unknown> {
  return {
    kind: form.kind,
    name: form.name.trim(),
    model: form.model.trim(),
    price_in_fen: toFen(form.priceIn) ?? 0,
    price_out_fen: toFen(form.priceOut) ?? 0,
    calls_per_minute: form.calls_per_minute ?? CALLS_PER_MINUTE,
    fen_per_day: toFen(form.perDay),
    ...(form.base_url.trim() && { base_url: form.base_url.trim() }),
    ...(form.key.trim() && { key: form.key.trim() }),
  }
}

/** A limit of money that no call ever reaches, for every call counts as free. */
export const limitIsIdle = (form: ProviderForm): boolean => Boolean(form.perDay) && !form.priceIn && !form.priceOut

export type Standing = 'noConsent' | 'resting' | 'spent' | 'ready'

/** How a provider stands, the reason first that keeps it from being called. */
export function standingOf(provider: Provider, now: number): Standing {
  if (!hasConsent(provider)) return 'noConsent'
  if (provider.resting_until && Date.parse(provider.resting_until) > now) return 'resting'
  if (provider.fen_per_day !== null && provider.cost_today_microfen >= provider.fen_per_day * 1_000_000) return 'spent'
  return 'ready'
}

/** Consent holds for the host that it was given for. */
export const hasConsent = (provider: Provider): boolean =>
  provider.consented_host === provider.host && provider.host !== ''
