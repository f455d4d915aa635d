import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { useToasts } from './toasts'

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('window', { setInterval })
  setActivePinia(createPinia())
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('a note goes by itself, a refusal later', () => {
  const notes = useToasts()
  notes.done('done')
  notes.refused('refused')
  vi.advanceTimersByTime(8_000)
  expect(notes.toasts.map((note) => note.text)).toEqual(['refused'])
  vi.advanceTimersByTime(8_000)
  expect(notes.toasts).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})

test('a note stays while somebody points at it, and as long as before afterwards', () => {
  const notes = useToasts()
  notes.done('done', { label: 'Undo', run: () => {} })
  notes.hold(true)
  vi.advanceTimersByTime(60_000)
  expect(notes.toasts).toHaveLength(1)
  notes.hold(false)
  vi.advanceTimersByTime(6_000)
  expect(notes.toasts).toHaveLength(1)
  vi.advanceTimersByTime(2_000)
  expect(notes.toasts).toEqual([])
})
