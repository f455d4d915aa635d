import { beforeEach, expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
const { linesOf } = await import('./changeWords')

const RULE = { id: 'r', words: ['shipping'], parts: [{ text: 'free' }] }

beforeEach(() => vi.stubGlobal('localStorage', { getItem: () => 'en' }))

test('a setting is shown by its name, with the old and the new value', () => {
  expect(linesOf({ enabled: [true, false], remark: ['', 'Books'] })).toEqual([
    { kind: 'set', name: 'Shop switched', old: 'on', new: 'off' },
    { kind: 'set', name: 'Remark', old: '(empty)', new: 'Books' },
  ])
  expect(linesOf({ debounce_seconds: [null, 3] })).toMatchObject([{ old: 'server default', new: '3' }])
  expect(linesOf({ timezone: ['', 'Asia/Tokyo'] })).toMatchObject([{ old: 'Default (Asia/Shanghai)' }])
})

test('secrets are shown as replaced, and counters are left out', () => {
  const [cookie, ...rest] = linesOf({ cookie: ['1f0e9a3c', '77aa0011'], cookie_version: [1, 2], restart_nonce: [0, 1] })
  expect(cookie).toMatchObject({ kind: 'note', text: 'replaced (fingerprint 1f0e9a3c → 77aa0011)' })
  expect(rest).toEqual([])
  expect(linesOf({ restart_nonce: [0, 1] })).toEqual([{ kind: 'note', name: '', text: 'Reconnected' }])
  const masked = 'http://***@proxy.example:1'
  expect(linesOf({ proxy: [masked, masked] })).toMatchObject([
    { kind: 'note', text: 'different user name or password' },
  ])
  expect(linesOf({ proxy: ['', masked] })).toMatchObject([{ kind: 'set', old: 'direct', new: masked }])
})

test('a shop that was added or removed is one line, with the rules that it brought', () => {
  const added = { created_at_ms: [null, 1], enabled: [null, true], cookie: [null, 'aa'], keywords: { added: [RULE] } }
  expect(linesOf(added).map((line) => line.kind)).toEqual(['note', 'added'])
  expect(linesOf({ deleted: [false, true] })).toHaveLength(1)
})

test('rules are shown by their keywords: added, removed, and edited', () => {
  const slower = { ...RULE, words: ['shipping', 'postage'], delay_seconds: [1, 2] }
  expect(
    linesOf({ keywords: { added: [RULE], removed: [{ id: 'x', words: ['old'] }], edited: [[RULE, slower]] } }),
  ).toEqual([
    { kind: 'added', name: 'Rules', subject: 'shipping', text: 'free' },
    { kind: 'removed', name: 'Rules', subject: 'old', text: 'no reply' },
    {
      kind: 'edited',
      name: 'Rules',
      subject: 'shipping / postage',
      differences: [
        { name: 'Keywords', old: 'shipping', new: 'shipping\npostage' },
        { name: 'Delay', old: '0–0', new: '1–2' },
      ],
    },
  ])
})

test('a thousand rules that were only moved are one line', () => {
  const edited = Array.from({ length: 1000 }, (_, position) => [RULE, { ...RULE, position: position + 1 }])
  expect(linesOf({ keywords: { edited } })).toEqual([{ kind: 'note', name: 'Rules', text: 'reordered' }])
})

test('items are shown with their settings', () => {
  const item = { item_id: '7001', reply: 'yes', paid_message: '', nothing_to_send: false }
  expect(linesOf({ items: { added: [item], edited: [[item, { ...item, nothing_to_send: true }]] } })).toEqual([
    { kind: 'added', name: 'Item settings', subject: '7001', text: 'Reply: yes' },
    {
      kind: 'edited',
      name: 'Item settings',
      subject: '7001',
      differences: [{ name: 'Nothing to send', old: 'off', new: 'on' }],
    },
  ])
})

test('delivery rules are shown by their orders, with what buyers get', () => {
  const month = { item_id: '1', spec: '时长:月卡', goods_id: 7, parts: [{ text: '{codes}' }], confirm: 2 }
  const all = { parts: [{ text: 'thanks' }], confirm: 'no' }
  expect(
    linesOf({ deliveries: { added: [month], removed: [all], edited: [[all, { nothing_to_send: true }]] } }),
  ).toEqual([
    {
      kind: 'added',
      name: 'Delivery rules',
      subject: '1 · 时长:月卡',
      text: 'goods 7, 1 each · {codes} · confirm after 2 h',
    },
    { kind: 'removed', name: 'Delivery rules', subject: 'every item', text: 'thanks · do not confirm' },
    expect.objectContaining({ kind: 'edited', subject: 'every item' }),
  ])
})
