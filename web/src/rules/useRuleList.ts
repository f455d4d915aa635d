/** The list of a shop's rules as it is shown: what is sought, what is selected, and the order while one is moved. */
import { computed, type Ref, reactive, ref } from 'vue'
import type { Rule } from '../common/api'
import { t } from '../i18n'
import { useReorder } from './reorder'
import { isOfItems, mentions, nameOfRule } from './rules'

interface Needs {
  /** All rules of the shop, in the order in which they are asked. */
  all: Ref<Rule[]>
  /** The row of a rule, to be measured and focused. */
  row: (id: string) => HTMLElement | null
  /** A rule was dropped at another place among those of its kind. */
  drop: (id: string, place: number) => void
}

export function useRuleList({ all, row, drop }: Needs) {
  const sought = ref('')
  const picked = reactive(new Set<string>())
  /** What a screen reader announces to who cannot see the list. */
  const announcement = ref('')
  const words = computed(() => sought.value.trim().toLowerCase())
  const isSearching = computed(() => words.value !== '')
  const ofKind = (items: boolean): Rule[] => all.value.filter((rule) => isOfItems(rule) === items)
  const find = (id: string): Rule | undefined => all.value.find((rule) => rule.id === id)

  const reorder = useReorder({
    ids: (id) => {
      const rule = find(id)
      return rule ? ofKind(isOfItems(rule)).map((one) => one.id) : []
    },
    row,
    drop,
    announce: (what, id, place) => {
      const rule = find(id)
      if (!rule) return
      const n = ofKind(isOfItems(rule)).length
      announcement.value = t(`rules.${what}`, { word: nameOfRule(rule), place: place + 1, n })
    },
  })
  const { lifted, order } = reorder

  const sections = computed(() =>
    [true, false].map((items) => {
      let list = ofKind(items)
      const among = list.length
      const places = new Map(list.map((rule, place) => [rule.id, place]))
      const held = lifted.value === null ? undefined : find(lifted.value)
      if (held && isOfItems(held) === items) {
        const byId = new Map(list.map((rule) => [rule.id, rule]))
        list = order.value.flatMap((id) => byId.get(id) ?? [])
        order.value.forEach((id, place) => void places.set(id, place))
      }
      if (isSearching.value) list = list.filter((rule) => mentions(rule, words.value))
      const names = items
        ? { title: t('rules.itemFirst'), text: t('rules.itemFirstText') }
        : { title: t('rules.general'), text: t('rules.generalText') }
      return { items, among, places, list, ...names }
    }),
  )
  const found = computed(() => sections.value.flatMap((section) => section.list))
  const hasItems = computed(() => ofKind(true).length > 0)
  const allPicked = computed(() => found.value.length > 0 && found.value.every((rule) => picked.has(rule.id)))
  const chosen = computed(() => all.value.filter((rule) => picked.has(rule.id)))

  function pick(id: string, on: boolean): void {
    if (on) picked.add(id)
    else picked.delete(id)
  }
  function pickAll(on: boolean): void {
    for (const rule of found.value) pick(rule.id, on)
  }

  const selection = { picked, chosen, allPicked, pick, pickAll }
  return { ...selection, sought, words, isSearching, announcement, reorder, sections, found, hasItems, ofKind, find }
}
