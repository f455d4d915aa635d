import { expect, test, vi } from 'vitest'
import type { Goods } from '../common/api'

vi.stubGlobal('localStorage', { getItem: () => 'zh', setItem: () => undefined })
vi.stubGlobal('window', {})
const { neededFirst } = await import('./goods')

const goods = (name: string, free: number, more: Partial<Goods> = {}): Goods =>
  ({ name, active: true, kind: 'stock', low: false, units: { free, held: 0, out: 0 }, ...more }) as Goods

test('goods that buyers wait for stand first, the others in the order of the server, and those that are off last', () => {
  const list = [
    goods('off', 0, { active: false }),
    goods('full', 9),
    goods('fixed', 0, { kind: 'fixed' }),
    goods('low', 1, { low: true }),
    goods('empty', 0),
  ]
  expect(neededFirst(list).map((one) => one.name)).toEqual(['empty', 'low', 'full', 'fixed', 'off'])
})
