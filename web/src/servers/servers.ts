/** What the list of servers says: workers below their server, states, shares, and what stands out. */
import type { Nodes } from '../common/api'

export type Node = Nodes['items'][number]
export type ServerState = 'running' | 'draining' | 'drained' | 'silent' | 'ended'

/** One server: the process itself, or its workers. The sums are those of all of them. */
export interface ServerGroup {
  name: string
  state: ServerState
  nodes: Node[]
  hasWorkers: boolean
  shops: number
  shards: number
  /** Whether it may be asked to give up its shops: another server would take them. */
  mayDrain: boolean
  mayUndrain: boolean
}

/** All shops lie in so many parts. */
const PARTS = 1024
/** From so many seconds on a wrong clock is shown; from the second number on the server takes no shops. */
const SHOWN_SECONDS = 1
const MOST_SECONDS = 10
/** An answer that came longer ago than this is old: three answers did not come. */
const OLD_MS = 15_000

const serverOf = (node: Node): string => node.name.split('/')[0] ?? node.name
const takes = (node: Node): boolean => node.live && !node.draining

/**
 * How a server stands; `others` are all servers of the answer. Each renews its lease when a third of it has passed, so
 * that the longest that is left shows about how long a lease is. One that is silent has less than half of that, or has
 * none and its shops were not taken over yet. Whether one without shops ended or was lost is not known.
 */
export function stateOf(node: Node, others: Node[]): ServerState {
  if (!node.live) return node.shards ? 'silent' : 'ended'
  const longest = Math.max(...others.filter((one) => one.live).map((one) => one.lease_left_seconds))
  if (node.lease_left_seconds < longest / 2) return 'silent'
  if (!node.draining) return 'running'
  return node.shards ? 'draining' : 'drained'
}

/** A server with workers is drained as a whole; while one of its workers lives, it lives. */
function stateOfAll(nodes: Node[], others: Node[]): ServerState {
  const states = nodes.map((node) => stateOf(node, others))
  return (['running', 'draining', 'drained', 'silent'] as const).find((state) => states.includes(state)) ?? 'ended'
}

/** The servers in the order of the answer, with their workers in the order of their numbers. */
export function grouped(nodes: Node[]): ServerGroup[] {
  const names = [...new Set(nodes.map(serverOf))]
  return names.map((name) => {
    const own = nodes.filter((node) => serverOf(node) === name)
    const living = own.filter((node) => node.live)
    return {
      name,
      state: stateOfAll(own, nodes),
      nodes: own.toSorted((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true })),
      hasWorkers: own.some((node) => node.name !== name),
      shops: sum(own.map((node) => node.shops)),
      shards: sum(own.map((node) => node.shards)),
      mayDrain: living.some(takes) && nodes.some((node) => takes(node) && serverOf(node) !== name),
      mayUndrain: living.some((node) => node.draining),
    }
  })
}

const sum = (numbers: number[]): number => numbers.reduce((all, one) => all + one, 0)

/** The share of all shops, from 0 to 1. */
export const shareOf = (shards: number): number => shards / PARTS

const buildOf = (node: Node): string => `${node.version} ${node.schema_revision}`

/** The names of the living servers that differ in version or schema from most; of two equal halves, from the newer. */
export function differing(nodes: Node[]): Set<string> {
  const living = nodes.filter((node) => node.live)
  const numbers = new Map<string, number>()
  for (const node of living) numbers.set(buildOf(node), (numbers.get(buildOf(node)) ?? 0) + 1)
  const [usual] = [...numbers].toSorted(
    ([one, ones], [other, others]) => others - ones || other.localeCompare(one, 'en', { numeric: true }),
  )
  return new Set(living.filter((node) => buildOf(node) !== usual?.[0]).map((node) => node.name))
}

/** How a clock stands: `off` is shown, with `far` the server takes no shops. */
export function clockOf(node: Node): 'right' | 'off' | 'far' {
  const away = Math.abs(node.clock_ahead_seconds)
  return away <= SHOWN_SECONDS ? 'right' : away < MOST_SECONDS ? 'off' : 'far'
}

/** Whether what is shown may not be true any more. `at`: when it was received, 0 for never. */
export const isOld = (at: number, now: number): boolean => at > 0 && now - at > OLD_MS

/** How many servers run, and how many of all need a look. */
export function summed(nodes: Node[]): { running: number; strange: number } {
  const differ = differing(nodes)
  const isStrange = (node: Node): boolean =>
    stateOf(node, nodes) === 'silent' || differ.has(node.name) || (node.live && clockOf(node) !== 'right')
  const groups = grouped(nodes)
  return {
    running: groups.filter((group) => group.nodes.some((node) => node.live)).length,
    strange: groups.filter((group) => group.nodes.some(isStrange)).length,
  }
}
