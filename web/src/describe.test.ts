import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
const { actorName } = await import('./describe')

test('who did it is a person by name, or another program in words', () => {
  expect(actorName('user:ann')).toBe('ann')
  expect(actorName('outside')).toBe('another program, in the database')
  expect(actorName('server')).toBe('server')
})
