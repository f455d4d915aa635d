/** The incidents that last and were notified, the most pressing first: the bell keeps them current, other pages count them. */
import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import type { Incident } from '../common/api'
import { isOther, notified } from './incidents'

export const useOpenIncidents = defineStore('openIncidents', () => {
  const items = shallowRef<Incident[]>([])
  /** Those that need a hand and are neither a shop's state nor an order nor a chat: these are counted where they are listed. */
  const others = computed(() => items.value.filter(isOther))

  function show(found: readonly Incident[]): void {
    items.value = notified(found)
  }

  return { items, others, show }
})
