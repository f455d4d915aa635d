import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: vi.fn(), removeItem: vi.fn() })
vi.stubGlobal('window', globalThis)
const { useSession } = await import('./session')

beforeEach(() => {
  setActivePinia(createPinia())
})

test('a session that ended is said to be over, however many requests hear of it', () => {
  const session = useSession()
  session.user = { user_id: 1, username: 'ann', is_admin: false }
  session.lapse()
  session.lapse()
  expect(session.user).toBeNull()
  expect(session.expired).toBe(true)
})

test('a visitor who never signed in is told of no session that ended', () => {
  const session = useSession()
  session.lapse()
  expect(session.expired).toBe(false)
})
