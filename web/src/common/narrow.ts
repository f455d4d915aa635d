/** Whether the page is as narrow as on a phone: other parts are then drawn, not only drawn otherwise. */
import { readonly, ref } from 'vue'

const query = window.matchMedia('(max-width: 760px)')
const narrow = ref(query.matches)
query.addEventListener('change', (event) => {
  narrow.value = event.matches
})

export const isNarrow = readonly(narrow)
