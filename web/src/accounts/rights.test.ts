import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
const { may, whyNot } = await import('./rights')

test('each right contains the ones before it, and an unknown shop allows nothing', () => {
  const rights = ['read', 'reply', 'operate', 'own'] as const
  for (const [index, right] of rights.entries()) {
    expect(rights.filter((asked) => may({ permission: right }, asked))).toEqual(rights.slice(0, index + 1))
  }
  expect(may(undefined, 'read')).toBe(false)
  expect(whyNot({ permission: 'reply' }, 'operate')).toContain('Operate')
  expect(whyNot({ permission: 'own' }, 'own')).toBe('')
})
