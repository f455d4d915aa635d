/** Light and dark: what the system says, until somebody chooses. */
import { computed, ref, watchEffect } from 'vue'

export type Appearance = 'auto' | 'light' | 'dark'

const CHOSEN = 'shoal.appearance'
const ORDER: Appearance[] = ['auto', 'light', 'dark']

const system = window.matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = ref(system.matches)
system.addEventListener('change', (event) => {
  systemIsDark.value = event.matches
})

export const appearance = ref<Appearance>(ORDER.find((one) => one === localStorage.getItem(CHOSEN)) ?? 'auto')
export const isDark = computed(() => (appearance.value === 'auto' ? systemIsDark.value : appearance.value === 'dark'))

watchEffect(() => {
  document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light'
})

export function appear(next: Appearance): void {
  appearance.value = next
  localStorage.setItem(CHOSEN, next)
}

export function nextAppearance(): void {
  appear(ORDER[(ORDER.indexOf(appearance.value) + 1) % ORDER.length] ?? 'auto')
}
