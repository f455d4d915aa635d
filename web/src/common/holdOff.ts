/** After too many attempts the server says for how long to hold off: counted down, second by second. */
import { computed, ref } from 'vue'
import { Refusal } from './api'
import { useSeconds } from './clock'

export function useHoldOff() {
  const now = useSeconds()
  const until = ref(0)
  const left = computed(() => Math.max(0, Math.ceil((until.value - now.value) / 1000)))

  /** Whether it was a refusal of that kind. */
  function heed(error: unknown): boolean {
    if (!(error instanceof Refusal) || error.status !== 429) return false
    until.value = Date.now() + Number(error.params.retry_after ?? 1) * 1000
    return true
  }

  return { left, heed }
}
