import { expect, test } from 'vitest'
import { clockOf, differing, grouped, isOld, type Node, shareOf, stateOf, summed } from './servers'

function node(name: string, facts: Partial<Node> = {}): Node {
  return {
    name,
    host: 'machine',
    address: '',
    version: '1.0.0',
    schema_revision: '0026',
    live: true,
    draining: false,
    lease_left_seconds: 12,
    shards: 256,
    shops: 10,
    started_at: '2026-01-01T00:00:00.000Z',
    clock_ahead_seconds: 0,
    ...facts,
  }
}

const ENDED = { live: false, lease_left_seconds: 0, shards: 0, shops: 0 }
const SILENT = { live: false, lease_left_seconds: 0, shards: 100, shops: 3 }

test('a server is shown as running, giving up, done with that, silent, or ended', () => {
  const state = (facts: Partial<Node>) => stateOf(node('a', facts), [node('a', facts), node('b')])
  expect(state({})).toBe('running')
  expect(state({ draining: true })).toBe('draining')
  expect(state({ draining: true, shards: 0 })).toBe('drained')
  expect(state(SILENT)).toBe('silent')
  expect(state({ ...ENDED, draining: true })).toBe('ended')
})

test('a server that did not renew its lease is silent before the lease has run out', () => {
  const state = (left: number) =>
    stateOf(node('a', { lease_left_seconds: left }), [node('a'), node('b', { lease_left_seconds: 14 })])
  expect([state(10), state(7), state(6.9), state(0)]).toEqual(['running', 'running', 'silent', 'silent'])
  const alone = node('a', { lease_left_seconds: 1 })
  expect(stateOf(alone, [alone, node('b', ENDED)])).toBe('running')
})

test('workers stand below their server, in the order of their numbers, and it has the sums of those that live', () => {
  const nodes = [node('two/10'), node('one'), node('two/2', { shops: 5 }), node('two/1', SILENT)]
  const [two, one] = grouped(nodes)
  expect([two?.name, one?.name]).toEqual(['two', 'one'])
  expect(two?.nodes.map((each) => each.name)).toEqual(['two/1', 'two/2', 'two/10'])
  expect([two?.hasWorkers, one?.hasWorkers]).toEqual([true, false])
  expect([two?.state, two?.shops, two?.shards]).toEqual(['running', 18, 612])
  expect(shareOf(512)).toBe(0.5)
})

test('a server is drained when all its living workers are, and silent before it is ended', () => {
  const state = (...nodes: Node[]) => grouped(nodes)[0]?.state
  const drained = { draining: true, shards: 0 }
  expect(state(node('a/1', { draining: true }), node('a/2', drained))).toBe('draining')
  expect(state(node('a/1', drained), node('a/2', SILENT))).toBe('drained')
  expect(state(node('a/1', ENDED), node('a/2', SILENT))).toBe('silent')
  expect(state(node('a/1', ENDED), node('a/2', ENDED))).toBe('ended')
})

test('only a server whose shops another server would take may give them up', () => {
  const acts = (...nodes: Node[]) => grouped(nodes).map((one) => [one.name, one.mayDrain, one.mayUndrain])
  expect(acts(node('a'), node('b'))).toEqual([
    ['a', true, false],
    ['b', true, false],
  ])
  // Its own workers give up with it.
  expect(acts(node('a/1'), node('a/2'))).toEqual([['a', false, false]])
  expect(acts(node('a'), node('b', { draining: true }), node('c', ENDED), node('d', SILENT))).toEqual([
    ['a', false, false],
    ['b', false, true],
    ['c', false, false],
    ['d', false, false],
  ])
  // A worker that joined while the others give up.
  expect(acts(node('a/1', { draining: true }), node('a/2'), node('b'))[0]).toEqual(['a', true, true])
})

test('a version or a schema that differs from most is marked, and of two halves the older one', () => {
  const names = (...nodes: Node[]) => [...differing(nodes)]
  expect(names(node('a'), node('b'))).toEqual([])
  expect(names(node('a'), node('b', { version: '1.1.0' }), node('c'))).toEqual(['b'])
  expect(names(node('a', { version: '1.9.0' }), node('b', { version: '1.10.0' }))).toEqual(['a'])
  expect(names(node('a', { schema_revision: '0027' }), node('b'))).toEqual(['b'])
  expect(names(node('a'), node('b', { ...ENDED, version: '0.9.0' }))).toEqual([])
  expect(names()).toEqual([])
})

test('a clock is shown above a second, either way, and is far off from ten seconds on', () => {
  const clocks = [0, 1, -1, 1.1, -9.9, 10, -60].map((seconds) => clockOf(node('a', { clock_ahead_seconds: seconds })))
  expect(clocks).toEqual(['right', 'right', 'right', 'off', 'off', 'far', 'far'])
})

test('an answer is old after three that did not come; before the first there is none', () => {
  expect([isOld(0, 100_000), isOld(90_000, 100_000), isOld(84_999, 100_000)]).toEqual([false, false, true])
})

test('the line on the settings page counts servers, not workers', () => {
  expect(summed([node('a/1'), node('a/2', { clock_ahead_seconds: -3 }), node('b', SILENT), node('c', ENDED)])).toEqual({
    running: 1,
    strange: 2,
  })
  expect(summed([node('a'), node('b', ENDED)])).toEqual({ running: 1, strange: 0 })
})
