import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Line, type LineState } from './live'

class FakeSocket {
  static all: FakeSocket[] = []
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  closed = false
  constructor(readonly url: string) {
    FakeSocket.all.push(this)
  }
  close(): void {
    this.closed = true
  }
  send(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
  break(code = 1006): void {
    this.onclose?.({ code })
  }
}

const states: LineState[] = []
const listener = {
  received: vi.fn(),
  snapshot: vi.fn(),
  batch: vi.fn(),
  events: vi.fn(),
  signedOut: vi.fn(),
  state: (one: LineState) => states.push(one),
}
const last = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket

beforeEach(() => {
  vi.useFakeTimers()
  FakeSocket.all = []
  states.length = 0
  vi.clearAllMocks()
  vi.stubGlobal('WebSocket', FakeSocket)
  vi.stubGlobal('location', { protocol: 'https:', host: 'shop.example' })
  vi.stubGlobal('window', { addEventListener: vi.fn(), removeEventListener: vi.fn(), setTimeout })
  vi.stubGlobal('document', { addEventListener: vi.fn(), removeEventListener: vi.fn(), hidden: false })
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('a line that broke is opened again where it broke', () => {
  new Line(listener)
  expect(last().url).toBe('wss://shop.example/console/live')
  last().send({ type: 'snapshot', rev: 7, accounts: [] })
  last().send({ type: 'batch', rev: 9, accounts: [], removed: [], changes: [], talks: [] })
  last().send({ type: 'batch', rev: null, accounts: [], removed: [], changes: [], talks: [] })
  last().break()
  expect(states).toEqual(['live', 'lost'])
  vi.advanceTimersByTime(1_000)
  expect(last().url).toBe('wss://shop.example/console/live?after=9')
})

test('a long snapshot is taken when its last part has come, and not at all when the line breaks before', () => {
  new Line(listener)
  last().send({ type: 'part', accounts: [{ id: 'lost' }] })
  last().break()
  vi.advanceTimersByTime(1_000)
  last().send({ type: 'part', accounts: [{ id: 'a' }] })
  last().send({ type: 'part', accounts: [{ id: 'b' }] })
  expect(listener.snapshot).not.toHaveBeenCalled()
  last().send({ type: 'snapshot', rev: 7, accounts: [{ id: 'c' }] })
  last().send({ type: 'snapshot', rev: 8, accounts: [{ id: 'd' }] })
  expect(listener.snapshot.mock.calls).toEqual([[[{ id: 'a' }, { id: 'b' }, { id: 'c' }]], [[{ id: 'd' }]]])
})

test('after a reset nothing is resumed', () => {
  new Line(listener)
  last().send({ type: 'snapshot', rev: 7, accounts: [] })
  last().send({ type: 'reset' })
  last().break()
  vi.advanceTimersByTime(1_000)
  expect(last().url).toBe('wss://shop.example/console/live')
})

test('a line that sends nothing for 15 s counts as dead', () => {
  new Line(listener)
  last().send({ type: 'snapshot', rev: 7, accounts: [] })
  const first = last()
  vi.advanceTimersByTime(14_000)
  first.send({ type: 'beat' })
  vi.advanceTimersByTime(14_000)
  expect(states).toEqual(['live'])
  vi.advanceTimersByTime(2_000)
  expect(first.closed).toBe(true)
  expect(states).toEqual(['live', 'lost'])
})

test('a signed-out page is notified and does not retry', () => {
  new Line(listener)
  last().break(4401)
  vi.advanceTimersByTime(60_000)
  expect(listener.signedOut).toHaveBeenCalledOnce()
  expect(FakeSocket.all).toHaveLength(1)
})

test('a page too many is shown as such and tries again slowly', () => {
  new Line(listener)
  last().break(4429)
  expect(states).toEqual(['full'])
  vi.advanceTimersByTime(10_000)
  expect(FakeSocket.all).toHaveLength(1)
  vi.advanceTimersByTime(10_000)
  expect(FakeSocket.all).toHaveLength(2)
})

test('a closed line stays closed', () => {
  const line = new Line(listener)
  line.close()
  last().break()
  vi.advanceTimersByTime(60_000)
  expect(FakeSocket.all).toHaveLength(1)
})
