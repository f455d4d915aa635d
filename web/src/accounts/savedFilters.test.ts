import { beforeEach, expect, test, vi } from 'vitest'
import { MOST_VIEWS, useSavedViews } from './savedFilters'

const view = { words: '#phones', filter: 'hand', key: 'messages', down: false } as const

const stored = new Map<string, string>()
vi.stubGlobal('localStorage', {
  getItem: (key: string) => stored.get(key) ?? null,
  setItem: (key: string, value: string) => stored.set(key, value),
})
beforeEach(() => stored.clear())

test('a view is kept for its user, replaced by its name and removed', () => {
  const mine = useSavedViews(1)
  mine.save('morning', view)
  mine.save('morning', { ...view, filter: 'all' })
  expect(useSavedViews(1).views.value).toEqual([{ name: 'morning', ...view, filter: 'all' }])
  expect(useSavedViews(2).views.value).toEqual([])
  mine.remove('morning')
  expect(useSavedViews(1).views.value).toEqual([])
})

test('too many views leave the newest, and what is not readable counts as none', () => {
  const mine = useSavedViews(1)
  for (let n = 0; n <= MOST_VIEWS; n++) mine.save(`v${n}`, view)
  expect(mine.views.value.map((one) => one.name)).not.toContain('v0')
  expect(mine.views.value).toHaveLength(MOST_VIEWS)
  localStorage.setItem('shoal.views', '{')
  expect(useSavedViews(1).views.value).toEqual([])
})
