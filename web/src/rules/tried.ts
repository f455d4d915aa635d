/** Whether somebody tried a message in this browser: the step after the first rules. */
import { ref } from 'vue'

const TRIED = 'shoal.tried'

export const hasTried = ref(localStorage.getItem(TRIED) === '1')

export function rememberTry(): void {
  if (hasTried.value) return
  hasTried.value = true
  localStorage.setItem(TRIED, '1')
}
