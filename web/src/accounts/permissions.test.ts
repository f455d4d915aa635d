import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
const { may, whyNot } = await import('./permissions')

test('each permission contains the ones before it, and an unknown shop allows nothing', () => {
  const permissions = ['read', 'reply', 'operate', 'own'] as const
  for (const [index, permission] of permissions.entries()) {
    expect(permissions.filter((asked) => may({ permission: permission }, asked))).toEqual(
      permissions.slice(0, index + 1),
    )
  }
  expect(may(undefined, 'read')).toBe(false)
  expect(whyNot({ permission: 'reply' }, 'operate')).toContain('Operate')
  expect(whyNot({ permission: 'own' }, 'own')).toBe('')
})
