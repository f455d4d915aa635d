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
const MOST = 4

export const useToasts = defineStore('toasts', () => {
  const toasts = ref<Toast[]>([])
  let last = 0

  function show(toast: Omit<Toast, 'id'>): void {
    const id = ++last
    toasts.value = [...toasts.value, { ...toast, id }].slice(-MOST)
    setTimeout(() => dismiss(id), toast.kind === 'done' ? DONE_MS : REFUSED_MS)
  }

  function dismiss(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id)
  }

  const done = (text: string, action?: Toast['action']): void => show({ kind: 'done', text, ...(action && { action }) })
  const refused = (text: string): void => show({ kind: 'refused', text })

  return { toasts, done, refused, dismiss }
})
