/**
 * A long list in a box that scrolls: only what is near the view is drawn, and the view stays where it is.
 *
 * While the end is in view the list follows it. Otherwise the row at the top edge of the view keeps its place, whatever
 * is put before it, measured again, or loaded into it.
 */
import { nextTick, onScopeDispose, type Ref, ref, shallowRef, watch } from 'vue'
import { beginOf, Heights, type Span, spanOf, WHOLE } from './heights'

/** As many rows are drawn whole: windows are for the long lists. */
const ALL = 60
const BEYOND_PX = 900
const NEAR_END_PX = 60
const NEAR_START_PX = 600
const MOST_TURNS = 4

/** A row, and how far it begins below the upper edge of the view. */
interface Anchor {
  key: string
  distance: number
}

/**
 * `scroller` scrolls, and places of elements are counted from it (it is positioned); `run` holds the rows, each with its
 * key as `data-entry`; `gap` lies between two rows.
 */
export function useWindow(
  scroller: Ref<HTMLElement | undefined>,
  run: Ref<HTMLElement | undefined>,
  keys: () => string[],
  gap: number,
) {
  const heights = new Heights()
  const span = shallowRef<Span>(WHOLE)
  const atEnd = ref(true)
  let anchor: Anchor | null = null

  const rowsOf = (): HTMLElement[] => [...(run.value?.children ?? [])] as HTMLElement[]
  const topOf = (element: HTMLElement): number => element.offsetTop - (scroller.value?.scrollTop ?? 0)

  /** The first drawn row that reaches into the view. */
  function firstInView(): HTMLElement | undefined {
    const rows = rowsOf()
    let from = 0
    let to = rows.length
    while (from < to) {
      const middle = (from + to) >> 1
      const row = rows[middle] as HTMLElement
      if (topOf(row) + row.offsetHeight > 0) to = middle
      else from = middle + 1
    }
    return rows[from]
  }

  /** Whether the view comes near the edge of what is drawn, and there is more. */
  function isAtEdge(view: HTMLElement): boolean {
    const { from, to, above, below } = span.value
    const drawn = run.value
    if (!drawn || span.value === WHOLE) return false
    const room = topOf(drawn) + above
    const roomBelow = topOf(drawn) + drawn.offsetHeight - below - view.clientHeight
    return (from > 0 && room > -BEYOND_PX / 2) || (to < keys().length && roomBelow < BEYOND_PX / 2)
  }

  /** Where the view begins in the list. */
  function viewTop(all: readonly string[], view: HTMLElement): number {
    if (atEnd.value) return beginOf(all, heights, all.length) - view.clientHeight
    const place = anchor ? all.indexOf(anchor.key) : -1
    if (anchor && place >= 0) return beginOf(all, heights, place) - anchor.distance
    return run.value ? -topOf(run.value) : 0
  }

  /** Choose what to draw; answers whether that is something else than before. */
  function choose(): boolean {
    const view = scroller.value
    const all = keys()
    let next = WHOLE
    if (all.length > ALL) {
      const height = view?.clientHeight || BEYOND_PX
      const top = view ? viewTop(all, view) : beginOf(all, heights, all.length) - height
      next = spanOf(all, heights, top - BEYOND_PX, top + height + BEYOND_PX)
    }
    const { from, to, above, below } = span.value
    if (next.from === from && next.to === to && next.above === above && next.below === below) return false
    span.value = next
    return true
  }

  /** Measure what is drawn, put the view where it belongs, and draw again where the measures ask for it. */
  async function settle(): Promise<void> {
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      const view = scroller.value
      if (!view) return
      for (const row of rowsOf()) heights.note(row.dataset.entry ?? '', row.offsetHeight + gap)
      place(view)
      if (!choose()) return
      await nextTick()
    }
  }

  function place(view: HTMLElement): void {
    if (atEnd.value) {
      view.scrollTop = view.scrollHeight
      return
    }
    const row = anchor && rowsOf().find((one) => one.dataset.entry === anchor?.key)
    if (anchor && row) {
      const off = topOf(row) - anchor.distance
      if (Math.abs(off) >= 1) view.scrollTop += off
    }
  }

  /** The person scrolled, or the view was put somewhere. */
  function scrolled(): void {
    const view = scroller.value
    if (!view) return
    atEnd.value = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_END_PX
    const first = firstInView()
    anchor =
      first && topOf(first) < view.clientHeight ? { key: first.dataset.entry ?? '', distance: topOf(first) } : null
    if (isAtEdge(view) && choose()) void nextTick(settle)
  }

  /** Whether the beginning of what is loaded is near. */
  const isNearStart = (): boolean => scroller.value !== undefined && scroller.value.scrollTop < NEAR_START_PX

  /** Follow the end from now on. */
  async function toEnd(): Promise<void> {
    atEnd.value = true
    await nextTick()
    await settle()
  }

  /** Bring a row into view, a third below its upper edge. */
  async function toRow(key: string): Promise<void> {
    atEnd.value = false
    anchor = { key, distance: Math.round((scroller.value?.clientHeight ?? 0) / 3) }
    choose()
    await nextTick()
    await settle()
  }

  /** Another list. */
  function restart(): void {
    heights.forget()
    anchor = null
    atEnd.value = true
    span.value = WHOLE
  }

  watch(keys, choose)
  watch(keys, settle, { flush: 'post' })

  // Pictures that arrive and a window that is made narrower change the heights.
  const observer = new ResizeObserver(() => void settle())
  watch([run, scroller], (elements) => {
    observer.disconnect()
    for (const element of elements) if (element) observer.observe(element)
  })
  onScopeDispose(() => observer.disconnect())

  return { span, atEnd, scrolled, isNearStart, toEnd, toRow, restart }
}
