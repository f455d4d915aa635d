import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: vi.fn(), removeItem: vi.fn() })
vi.stubGlobal('window', globalThis)
const { useSession } = await import('./session')

beforeEach(() => {
  setActivePinia(createPinia())
})

test('a session that ended is shown as over, however many requests report it', () => {
  const session = useSession()
  session.user = { user_id: 1, username: 'ann', is_admin: false }
  session.lapse()
  session.lapse()
  expect(session.user).toBeNull()
  expect(session.expired).toBe(true)
})

test('no ended session is reported to a visitor who never signed in', () => {
  const session = useSession()
  session.lapse()
  expect(session.expired).toBe(false)
})
