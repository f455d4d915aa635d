/** The part of a long list of rules that is drawn: a page of thousands would not scroll. */
import { computed, type Ref, ref } from 'vue'
import type { Rule } from '../common/api'

/** So many are drawn at once. */
const SIZE = 150
/** So many of those before are still in sight when one goes on. */
const OVERLAP = 10

/** The window is counted over all sections. */
export function useRuleWindow<Section extends { list: Rule[] }>(sections: Ref<Section[]>) {
  const from = ref(0)
  const length = computed(() => sections.value.reduce((sum, section) => sum + section.list.length, 0))
  /** The window never begins behind the end, whatever was removed or is sought. */
  const start = computed(() => Math.max(0, Math.min(from.value, length.value - SIZE)))
  const later = computed(() => Math.max(0, length.value - start.value - SIZE))
  const windowed = computed(() => {
    let before = 0
    return sections.value.map((section) => {
      const first = start.value - before
      before += section.list.length
      return { ...section, list: section.list.slice(Math.max(0, first), Math.max(0, first + SIZE)) }
    })
  })

  /** Move the window so far that a rule and its neighbours are in it. */
  function bringIn(at: number): void {
    if (at < start.value + 1) from.value = Math.max(0, at - OVERLAP)
    else if (at > start.value + SIZE - 2) from.value = at - SIZE + OVERLAP
  }

  /** One window further, or one back. */
  function step(by: number): void {
    from.value = Math.max(0, start.value + by * (SIZE - OVERLAP))
  }

  function toStart(): void {
    from.value = 0
  }

  return { start, windowed, later, bringIn, step, toStart }
}
