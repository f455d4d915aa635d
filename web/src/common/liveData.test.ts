import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { effectScope, nextTick } from 'vue'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
vi.stubGlobal('window', globalThis)
const { useLine } = await import('./line')
const { useLive } = await import('./liveData')

const event = (account: string) => ({ type: 'message' as const, account, at: '' })
let scope = effectScope()

beforeEach(() => {
  vi.useFakeTimers()
  setActivePinia(createPinia())
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

/** Live data whose questions are answered by hand. */
function watched(options: Parameters<typeof useLive>[2] = {}) {
  const questions: { resolve: (found: string) => void; reject: (error: Error) => void }[] = []
  const shown: string[] = []
  const ask = (): Promise<string> => new Promise((resolve, reject) => void questions.push({ resolve, reject }))
  const live = scope.run(() => useLive(ask, (found) => void shown.push(found), options))
  if (!live) throw new Error('the scope has ended')
  return { live, questions, shown }
}

test('an answer that a newer question has overtaken is not shown', async () => {
  const { live, questions, shown } = watched()
  const [first, second] = [live.load(), live.load()]
  questions[1]?.resolve('new')
  await second
  questions[0]?.resolve('old')
  await first
  expect(shown).toEqual(['new'])
})

test('a failure is shown, and gone with the next answer', async () => {
  const { live, questions } = watched()
  const first = live.load()
  questions[0]?.reject(new Error('no way'))
  await first
  expect(live.problem.value).not.toBe('')
  const second = live.load()
  questions[1]?.resolve('')
  await second
  expect(live.problem.value).toBe('')
})

test('a failure that the page shows in its own way is no problem', async () => {
  const { live, questions } = watched({ failed: () => true })
  const first = live.load()
  questions[0]?.reject(new Error('gone'))
  await first
  expect(live.problem.value).toBe('')
})

test('it is loaded again when the line comes back, and not when it comes first', async () => {
  const { questions } = watched()
  const line = useLine()
  for (const state of ['live', 'lost', 'live', 'full', 'live'] as const) {
    line.state = state
    await nextTick()
  }
  expect(questions).toHaveLength(2)
})

test('what was asked before the line came is asked once more, if the line reports it', async () => {
  const line = useLine()
  const [affected, unaffected] = [watched({ mine: () => true }), watched()]
  void affected.live.load()
  void unaffected.live.load()
  for (const state of ['live', 'connecting', 'live'] as const) {
    line.state = state
    await nextTick()
  }
  expect(affected.questions).toHaveLength(2)
  expect(unaffected.questions).toHaveLength(1)
})

test('events of others load nothing; several of its own load once', async () => {
  const { questions } = watched({ mine: (one) => one.account === 'shop', after: 100 })
  const line = useLine()
  for (const account of ['other', 'shop', 'shop']) {
    line.lastEvents = [event(account)]
    await nextTick()
    vi.advanceTimersByTime(40)
  }
  expect(questions).toHaveLength(0)
  vi.advanceTimersByTime(20)
  expect(questions).toHaveLength(1)
  vi.advanceTimersByTime(1_000)
  expect(questions).toHaveLength(1)
})

test('of two times the earlier counts', () => {
  const { live, questions } = watched()
  live.soon(3_000)
  live.soon(60)
  live.soon(500)
  vi.advanceTimersByTime(60)
  expect(questions).toHaveLength(1)
  vi.advanceTimersByTime(5_000)
  expect(questions).toHaveLength(1)
})

test('nothing is asked for or shown after the page is gone', async () => {
  const { live, questions, shown } = watched()
  const first = live.load()
  live.soon(10)
  scope.stop()
  questions[0]?.resolve('late')
  await first
  vi.advanceTimersByTime(1_000)
  expect(shown).toEqual([])
  expect(questions).toHaveLength(1)
})
