/** The names of the caller's model providers, for the places where only a provider's number is stored. */
import { shallowRef } from 'vue'
import { call, type Page } from './api'

interface Named {
  id: number
  name: string
}

const names = shallowRef<ReadonlyMap<number, string>>(new Map())

/** The name of a provider; nothing for one that is removed, belongs to somebody else, or was not asked for yet. */
export const providerName = (id: number): string | undefined => names.value.get(id)

export function knowProviders(providers: readonly Named[]): void {
  names.value = new Map(providers.map(({ id, name }) => [id, name]))
}

/** Ask for the names. Without an answer the places say that there is a provider, and not which. */
export async function askProviders(): Promise<void> {
  try {
    knowProviders((await call<Page<Named>>('GET', '/ai-providers')).items)
  } catch {
    knowProviders([])
  }
}
