import { afterEach, beforeEach, expect, it, vi } from 'vitest'

beforeEach(() => {
  vi.useFakeTimers()
  vi.resetModules()
})
afterEach(() => vi.useRealTimers())

it('names the newest rev of each answer for half a minute', async () => {
  const { afterHeader, noteChange } = await import('./after')
  expect(afterHeader()).toEqual({})
  noteChange({ rev: 7, changed: true })
  noteChange({ results: [{ rev: 9 }, { rev: 11 }, { code: 'x' }] })
  for (const nothing of [null, [], 'x', { rev: null }, { rev: 0 }, { revs: [3] }]) noteChange(nothing)
  expect(afterHeader()).toEqual({ 'Shoal-After': '7,11' })
  vi.advanceTimersByTime(20_000)
  noteChange({ rev: 7 })
  vi.advanceTimersByTime(15_000)
  expect(afterHeader()).toEqual({ 'Shoal-After': '7' })
  vi.advanceTimersByTime(20_000)
  expect(afterHeader()).toEqual({})
})

it('names no more than a server looks up', async () => {
  const { afterHeader, noteChange } = await import('./after')
  for (let rev = 1; rev <= 30; rev++) noteChange({ rev })
  const named = afterHeader()['Shoal-After']?.split(',') ?? []
  expect(named).toHaveLength(20)
  expect(named.at(-1)).toBe('30')
})
