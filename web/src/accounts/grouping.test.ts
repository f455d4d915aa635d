import { beforeEach, expect, test, vi } from 'vitest'
import { ref } from 'vue'
import type { Account } from '../common/api'
import { grouped, isGroup, useGrouping } from './grouping'

const shop = (id: string, remark = '', state = 'running'): Account =>
  ({ id, remark, state, answers: 'messages', enabled: true, observed: { crash_loop: false } }) as Account
const LIST = [shop('a', '书 #书'), shop('b'), shop('c', '#数码'), shop('d', '#书 #数码', 'parked')]
const shown = (collapsed: string[] = []) =>
  grouped(LIST, new Set(collapsed)).map((line) => (isGroup(line) ? `${line.id} ${line.shops} ${line.hand}` : line.id))

const stored = new Map<string, string>()
vi.stubGlobal('localStorage', {
  getItem: (key: string) => stored.get(key) ?? null,
  setItem: (key: string, value: string) => stored.set(key, value),
})
beforeEach(() => stored.clear())

test('shops stand under their first tag, the largest group first, those without a tag last', () => {
  expect(shown()).toEqual(['#书 2 1', 'a', 'd', '#数码 1 0', 'c', '# 1 0', 'b'])
})

test('of a collapsed group only its line is left, which still counts its shops', () => {
  expect(shown(['书', ''])).toEqual(['#书 2 1', '#数码 1 0', 'c', '# 1 0'])
})

test('groups and what is collapsed are remembered', () => {
  const first = useGrouping(ref(LIST))
  expect(first.lines.value).toEqual(LIST)
  first.turn()
  first.fold('书')
  const next = useGrouping(ref(LIST))
  expect(next.visible.value.map((one) => one.id)).toEqual(['c', 'b'])
  next.fold('书')
  expect(useGrouping(ref(LIST)).visible.value.map((one) => one.id)).toEqual(['a', 'd', 'c', 'b'])
})

test('without tags there are no groups, and what is stored by somebody else is no reason to fail', () => {
  localStorage.setItem('shoal.groups', '{"on":true,"collapsed":3}')
  expect(useGrouping(ref([shop('a')])).lines.value).toHaveLength(1)
  localStorage.setItem('shoal.groups', 'nonsense')
  expect(useGrouping(ref(LIST)).on.value).toBe(false)
})
