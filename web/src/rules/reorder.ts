/** Moving rows of a list: by pointer, on a handle, and by keyboard (Space, arrows, Space; Escape cancels). */
import { nextTick, onBeforeUnmount, ref } from 'vue'

export interface Moving {
  /** The ids of the list in which this one stands, in order. */
  ids: (id: string) => string[]
  /** The row of an id, to be measured and focused. */
  row: (id: string) => HTMLElement | null
  /** It was dropped at a place other than its own. */
  drop: (id: string, place: number) => void
  /** Announce it to who cannot see it. */
  announce: (what: 'lifted' | 'moved' | 'dropped' | 'cancelled', id: string, place: number) => void
}

/** So near to an edge of what scrolls it scrolls by itself. */
const EDGE = 48
const SCROLLED = 14

export function useReorder(moving: Moving) {
  const lifted = ref<string | null>(null)
  /** The order while a row is lifted. */
  const order = ref<string[]>([])
  let end: (() => void) | null = null

  function lift(id: string): void {
    order.value = [...moving.ids(id)]
    lifted.value = id
  }

  const place = (id: string): number => order.value.indexOf(id)

  function put(id: string, to: number): void {
    const next = order.value.filter((one) => one !== id)
    next.splice(to, 0, id)
    order.value = next
  }

  function finish(commit: boolean): void {
    const id = lifted.value
    end?.()
    end = null
    if (id === null) return
    const to = place(id)
    const from = moving.ids(id).indexOf(id)
    lifted.value = null
    moving.announce(commit ? 'dropped' : 'cancelled', id, commit ? to : from)
    if (commit && to !== from && to >= 0) moving.drop(id, to)
  }

  async function focusAgain(id: string): Promise<void> {
    await nextTick()
    moving.row(id)?.querySelector<HTMLElement>('[data-handle]')?.focus()
  }

  function key(id: string, event: KeyboardEvent): void {
    if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault()
      if (lifted.value === id) {
        finish(true)
        void focusAgain(id)
      } else {
        lift(id)
        moving.announce('lifted', id, place(id))
      }
      return
    }
    if (lifted.value !== id) return
    const last = order.value.length - 1
    const steps: Record<string, number> = { ArrowUp: place(id) - 1, ArrowDown: place(id) + 1, Home: 0, End: last }
    const to = steps[event.key]
    if (event.key === 'Escape' || event.key === 'Tab') {
      event.stopPropagation()
      finish(false)
      if (event.key === 'Escape') void focusAgain(id)
    } else if (to !== undefined) {
      event.preventDefault()
      put(id, Math.max(0, Math.min(last, to)))
      moving.announce('moved', id, place(id))
      void focusAgain(id)
    }
  }

  function press(id: string, event: PointerEvent): void {
    if (event.button !== 0) return
    event.preventDefault() // no text is selected, and the row's own drag does not begin
    lift(id)
    const { pointerId } = event
    const pane = scrolling(moving.row(id))
    const move = (at: PointerEvent): void => {
      if (at.pointerId !== pointerId) return
      follow(id, at.clientY)
      const box = pane?.getBoundingClientRect()
      if (pane && box && at.clientY < box.top + EDGE) pane.scrollTop -= SCROLLED
      else if (pane && box && at.clientY > box.bottom - EDGE) pane.scrollTop += SCROLLED
    }
    const up = (at: PointerEvent): void => {
      if (at.pointerId === pointerId) finish(true)
    }
    const cancel = (at: PointerEvent): void => {
      if (at.pointerId === pointerId) finish(false)
    }
    const giveUp = (at: KeyboardEvent): void => {
      if (at.key === 'Escape') finish(false)
    }
    window.addEventListener('pointermove', move)
    window.addEventListener('pointerup', up)
    window.addEventListener('pointercancel', cancel)
    window.addEventListener('keydown', giveUp)
    end = () => {
      window.removeEventListener('pointermove', move)
      window.removeEventListener('pointerup', up)
      window.removeEventListener('pointercancel', cancel)
      window.removeEventListener('keydown', giveUp)
    }
  }

  /** A row gives way as soon as the pointer is beyond its middle. */
  function follow(id: string, y: number): void {
    const middle = (one: string | undefined): number | null => {
      const box = one === undefined ? null : moving.row(one)?.getBoundingClientRect()
      return box ? box.top + box.height / 2 : null
    }
    const here = place(id)
    const before = middle(order.value[here - 1])
    const after = middle(order.value[here + 1])
    if (before !== null && y < before) put(id, here - 1)
    else if (after !== null && y > after) put(id, here + 1)
  }

  onBeforeUnmount(() => finish(false))

  return { lifted, order, key, press }
}

function scrolling(element: HTMLElement | null): HTMLElement | null {
  for (let one = element?.parentElement ?? null; one; one = one.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(one).overflowY)) return one
  }
  return null
}
