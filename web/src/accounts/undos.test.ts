import { createPinia, setActivePinia } from 'pinia'
import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const answers: (() => void)[] = []
vi.mock('../common/api', () => ({
  call: () => new Promise<void>((resolve) => answers.push(resolve)),
  why: String,
}))
vi.mock('../common/toasts', () => ({ useToasts: () => ({ done: () => undefined, refused: () => undefined }) }))
const { useUndos } = await import('./undos')

test('the changes taken back have ended once all of them have, in whatever order', async () => {
  setActivePinia(createPinia())
  const { undo, takenBack } = useUndos()
  const [first, second] = [undo(1), undo(2)]
  let ended = false
  const { times, end } = takenBack()
  void end.then(() => {
    ended = true
  })
  answers[1]?.()
  await second
  await new Promise((resolve) => setTimeout(resolve))
  expect([times, ended]).toEqual([2, false])
  answers[0]?.()
  await first
  await end
  expect(ended).toBe(true)
})
