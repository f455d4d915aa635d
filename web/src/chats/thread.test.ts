import { expect, test } from 'vitest'
import type { Message, Sending } from '../common/api'
import { renewed, thread, withNotes } from './thread'
import type { Entry as WorkEntry } from './useEntries'
import type { Note } from './useNotes'

const at = (second: number): string => `2026-01-02T03:04:${String(second).padStart(2, '0')}.000Z`
const message = (id: number, second: number, rest: Partial<Message> = {}): Message =>
  ({ id, message_id: `m${id}`, at: at(second), direction: 'in', decision: 'answered', ...rest }) as Message
const sending = (id: number, second: number, answered: string | null = null): Sending =>
  ({ id, at: at(second), message_id: answered }) as Sending
const whole = { messages: false, sendings: false }
const keys = (...lists: Parameters<typeof thread>): string[] => thread(...lists).map((entry) => entry.key)

test('messages and sendings stand in the order of time', () => {
  expect(keys([message(2, 9), message(1, 3)], [sending(2, 12), sending(1, 5)], whole)).toEqual(['m1', 's1', 'm2', 's2'])
})

test('an answer stands after its message though the clocks differ', () => {
  expect(keys([message(1, 9)], [sending(2, 4, 'm1'), sending(1, 3)], whole)).toEqual(['s1', 'm1', 's2'])
})

test('an echo is not shown beside its sending, the owner in the site is', () => {
  const echo = message(3, 6, { direction: 'out', decision: 'echo' })
  const undecided = message(4, 7, { direction: 'out', decision: '' })
  const human = message(5, 8, { direction: 'human', decision: 'human' })
  expect(keys([human, undecided, echo, message(1, 3)], [sending(1, 5)], whole)).toEqual(['m1', 's1', 'm5'])
})

test('a list that goes on hides what is older than its end', () => {
  const messages = [message(2, 9), message(1, 8)]
  const sendings = [sending(2, 9), sending(1, 2)]
  expect(keys(messages, sendings, { messages: true, sendings: false })).toEqual(['m1', 'm2', 's2'])
  expect(keys(messages, sendings, { messages: false, sendings: true })).toEqual(['s1', 'm1', 'm2', 's2'])
})

test('a newer page is joined to what is known, or takes its place when something between is missing', () => {
  expect(renewed([message(2, 2), message(1, 1)], [message(3, 3), message(2, 2, { decision: 'paused' })])).toEqual({
    rows: [message(3, 3), message(2, 2, { decision: 'paused' }), message(1, 1)],
    joins: true,
  })
  expect(renewed([message(1, 1)], [message(9, 9)])).toEqual({ rows: [message(9, 9)], joins: false })
})

test('notes stand between the messages, and those older than what was loaded wait for it', () => {
  const note = (id: number, second: number) => ({ id, at: at(second) }) as Note
  const entries = thread([message(2, 9), message(1, 3)], [], whole)
  const lines = (isMore: boolean) =>
    withNotes(entries, [note(1, 1), note(2, 5), note(3, 20)], isMore).map((one) => one.key)
  expect(lines(false)).toEqual(['n1', 'm1', 'n2', 'm2', 'n3'])
  expect(lines(true)).toEqual(['m1', 'n2', 'm2', 'n3'])
  const done = { at: at(6), what: 'status', after: 'done' } as WorkEntry
  expect(withNotes(entries, [note(2, 5)], true, [done, { ...done, at: at(1) }]).map((one) => one.key)).toEqual([
    'm1',
    'n2',
    `w${at(6)}/status/done`,
    'm2',
  ])
})
