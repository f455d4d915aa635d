/** The number on the icon of the installed console: what needs a hand. */
import { onScopeDispose, watch } from 'vue'
import { useNeeds } from '../notices/needs'

/** Not every browser has badges, and some have them only for an installed page. */
async function show(number: number): Promise<void> {
  try {
    if (number) await navigator.setAppBadge?.(number)
    else await navigator.clearAppBadge?.()
  } catch {
    // Then the icon stays without a number.
  }
}

/** Keep the number up to date until the frame is left, as by signing out. */
export function followAppBadge(): void {
  const needs = useNeeds()
  watch(
    () => needs.number,
    (number) => void show(number),
    { immediate: true },
  )
  onScopeDispose(() => void show(0))
}
