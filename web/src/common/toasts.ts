/** Short notes at the edge of the page: what was done, what was refused and why, and how to take it back. */
import { defineStore } from 'pinia'
import { ref } from 'vue'

export interface Toast {
  id: number
  kind: 'done' | 'refused'
  text: string
  action?: { label: string; run: () => void }
}

const DONE_MS = 7_000
const REFUSED_MS = 15_000
const SWEEP_MS = 500
const MOST = 4

export const useToasts = defineStore('toasts', () => {
  const toasts = ref<Toast[]>([])
  const ends = new Map<number, number>()
  let last = 0
  let timer = 0
  let held = false

  /** Show a note and return its id, by which it can be dismissed early. */
  function show(toast: Omit<Toast, 'id'>): number {
    const id = ++last
    toasts.value = [...toasts.value, { ...toast, id }].slice(-MOST)
    ends.set(id, Date.now() + (toast.kind === 'done' ? DONE_MS : REFUSED_MS))
    timer ||= window.setInterval(sweep, SWEEP_MS)
    return id
  }

  /** Take away what was shown long enough; while somebody points at the notes, time stands still. */
  function sweep(): void {
    for (const [id, end] of ends) {
      if (held) ends.set(id, end + SWEEP_MS)
      else if (end <= Date.now()) dismiss(id)
    }
  }

  const hold = (on: boolean): void => {
    held = on
  }

  function dismiss(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id)
    ends.delete(id)
    if (ends.size || !timer) return
    clearInterval(timer)
    timer = 0
  }

  const done = (text: string, action?: Toast['action']): number =>
    show({ kind: 'done', text, ...(action && { action }) })
  const refused = (text: string, action?: Toast['action']): number =>
    show({ kind: 'refused', text, ...(action && { action }) })

  return { toasts, done, refused, dismiss, hold }
})
