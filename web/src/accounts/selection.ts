/** What is shown of a table, and what is selected in it. */
import { computed, reactive, ref, toRaw } from 'vue'
import type { Account } from '../common/api'
import { arranged, type Counts, type Filter, type SortKey } from './arrange'

export function useSelection(list: () => Account[], counts?: Counts) {
  const words = ref('')
  const filter = ref<Filter>('all')
  const key = ref<SortKey>('shop')
  const down = ref(false)
  const picked = reactive(new Set<string>())

  const shown = computed(() => arranged(list(), filter.value, words.value, key.value, down.value, counts))
  const pickedShown = computed(() => {
    // Its size alone is watched: a watch on each of thousands of shops would be made anew with every change.
    const chosen = picked.size ? toRaw(picked) : undefined
    return chosen ? shown.value.filter((account) => chosen.has(account.id)) : []
  })

  function sort(by: SortKey): void {
    if (key.value === by) down.value = !down.value
    else {
      key.value = by
      down.value = false
    }
  }

  function pick(id: string, on: boolean): void {
    if (on) picked.add(id)
    else picked.delete(id)
  }

  function pickAll(on: boolean): void {
    for (const account of shown.value) pick(account.id, on)
  }

  return { words, filter, key, down, picked, shown, pickedShown, sort, pick, pickAll }
}
