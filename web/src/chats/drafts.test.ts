import { beforeEach, expect, test, vi } from 'vitest'
import { draftOf, dropDrafts, forgetAside, keepDraft, openDrafts, setAside } from './drafts'

/** What a browser keeps. */
class Kept {
  [name: string]: unknown
  getItem = (key: string): string | null => (this[key] as string | undefined) ?? null
  setItem = (key: string, value: string): void => {
    this[key] = value
  }
  removeItem = (key: string): void => {
    delete this[key]
  }
}

let kept: Kept
const places = (): string[] => Object.keys(kept).filter((key) => key.startsWith('shoal.draft.'))

beforeEach(() => {
  kept = new Kept()
  vi.stubGlobal('localStorage', kept)
  dropDrafts()
  openDrafts(1)
})

/** The page is loaded again. */
async function reloaded(user: number): Promise<typeof import('./drafts')> {
  vi.resetModules()
  const again = await import('./drafts')
  again.openDrafts(user)
  return again
}

test('a draft outlives the page, for the chat in which it was written', async () => {
  keepDraft('afu', 'c1', '九折可以')
  const page = await reloaded(1)
  expect(page.draftOf('afu', 'c1')).toBe('九折可以')
  expect(page.draftOf('afu', 'c2')).toBe('')
})

test('an emptied box keeps nothing', () => {
  keepDraft('afu', 'c1', 'x')
  keepDraft('afu', 'c1', '  ')
  expect(draftOf('afu', 'c1')).toBe('')
  expect(places()).toEqual([])
})

test('another user of the same browser sees nothing of it, and it is gone', async () => {
  keepDraft('afu', 'c1', 'mine')
  const page = await reloaded(2)
  expect(page.draftOf('afu', 'c1')).toBe('')
  expect(places()).toEqual([])
})

test('signing out takes all of them away', () => {
  keepDraft('afu', 'c1', 'mine')
  dropDrafts()
  expect(places()).toEqual([])
  expect(draftOf('afu', 'c1')).toBe('')
})

test('the oldest goes when there are more than fifty', () => {
  for (let n = 0; n < 51; n++) {
    vi.spyOn(Date, 'now').mockReturnValueOnce(1000 + n)
    keepDraft('afu', `c${n}`, 'x')
  }
  expect(places()).toHaveLength(50)
  expect(draftOf('afu', 'c0')).toBe('')
  expect(draftOf('afu', 'c50')).toBe('x')
})

test('what is being sent comes back after a reload until it has arrived', async () => {
  keepDraft('afu', 'c1', 'on its way')
  setAside('afu', 'c1')
  expect(draftOf('afu', 'c1')).toBe('')
  expect((await reloaded(1)).draftOf('afu', 'c1')).toBe('on its way')
  forgetAside('afu', 'c1')
  expect((await reloaded(1)).draftOf('afu', 'c1')).toBe('')
})

test('what is written while another message leaves is kept when that has arrived', async () => {
  keepDraft('afu', 'c1', 'first')
  setAside('afu', 'c1')
  keepDraft('afu', 'c1', 'second')
  forgetAside('afu', 'c1')
  expect((await reloaded(1)).draftOf('afu', 'c1')).toBe('second')
})

test('where the browser keeps nothing, they last as long as the page', () => {
  kept.setItem = () => {
    throw new Error('the quota is used up')
  }
  keepDraft('afu', 'c1', 'still here')
  expect(draftOf('afu', 'c1')).toBe('still here')
})

test('what is older than two weeks, or no draft at all, is not shown', async () => {
  kept.setItem('shoal.draft.1.afu/c1', JSON.stringify({ text: 'old', at: Date.now() - 15 * 24 * 3_600_000 }))
  kept.setItem('shoal.draft.1.afu/c2', 'no JSON')
  const page = await reloaded(1)
  expect(page.draftOf('afu', 'c1') + page.draftOf('afu', 'c2')).toBe('')
  expect(places()).toEqual([])
})
