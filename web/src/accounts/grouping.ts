/** The table of shops in groups: those with the same first tag stand together, and a group can be collapsed. */
import { computed, type Ref, ref } from 'vue'
import type { Account } from '../common/api'
import { needsHand } from './arrange'
import { tagsOf } from './tags'

/** The line above the shops of a group. `tag` is empty for the shops without tags. */
export interface GroupLine {
  id: string
  tag: string
  shops: number
  hand: number
  collapsed: boolean
}
export type Line = Account | GroupLine

export const isGroup = (line: Line): line is GroupLine => 'collapsed' in line

/** The list in groups by the first tag of each shop: large groups first, and last the shops without tags. */
export function grouped(list: Account[], collapsed: ReadonlySet<string>): Line[] {
  const groups = new Map<string, Account[]>()
  for (const account of list) {
    const tag = tagsOf(account.remark)[0] ?? ''
    const shops = groups.get(tag)
    if (shops) shops.push(account)
    else groups.set(tag, [account])
  }
  const ordered = [...groups].sort(
    ([one, its], [other, others]) =>
      Number(!one) - Number(!other) || others.length - its.length || one.localeCompare(other),
  )
  return ordered.flatMap(([tag, shops]) => {
    const line = { tag, shops: shops.length, hand: shops.filter(needsHand).length, collapsed: collapsed.has(tag) }
    // An id of a shop never begins with "#".
    return [{ id: `#${tag}`, ...line }, ...(line.collapsed ? [] : shops)]
  })
}

const KEPT = 'shoal.groups'

/** What this browser remembers: whether the table is in groups, and which are collapsed. */
function remembered(): { on: boolean; collapsed: string[] } {
  try {
    const { on, collapsed } = JSON.parse(localStorage.getItem(KEPT) ?? '{}') as { on?: unknown; collapsed?: unknown }
    return { on: on === true, collapsed: Array.isArray(collapsed) ? collapsed.map(String) : [] }
  } catch {
    return { on: false, collapsed: [] }
  }
}

export function useGrouping(shown: Ref<Account[]>) {
  const kept = remembered()
  const on = ref(kept.on)
  const collapsed = ref(new Set(kept.collapsed))
  const hasTags = computed(() => shown.value.some((account) => account.remark.includes('#')))
  const lines = computed<Line[]>(() =>
    on.value && hasTags.value ? grouped(shown.value, collapsed.value) : shown.value,
  )
  /** The shops that can be seen, in the order in which they stand. */
  const visible = computed(() => lines.value.filter((line): line is Account => !isGroup(line)))

  function keep(): void {
    localStorage.setItem(KEPT, JSON.stringify({ on: on.value, collapsed: [...collapsed.value] }))
  }
  function turn(): void {
    on.value = !on.value
    keep()
  }
  function fold(tag: string): void {
    const next = new Set(collapsed.value)
    if (!next.delete(tag)) next.add(tag)
    collapsed.value = next
    keep()
  }
  return { on, hasTags, lines, visible, turn, fold }
}
