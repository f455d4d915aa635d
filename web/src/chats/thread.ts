/** One chat as a thread: its messages, its sendings and what became of them, oldest first. */
import type { Message, Sending } from '../common/api'
import type { Entry as WorkEntry } from './useEntries'
import type { Note } from './useNotes'

export type Entry =
  | { kind: 'message'; key: string; at: number; message: Message }
  | { kind: 'sending'; key: string; at: number; sending: Sending }

/** What stands in a thread beside that. */
export type Line =
  | Entry
  | { kind: 'note'; key: string; at: number; note: Note }
  | { kind: 'work'; key: string; at: number; entry: WorkEntry }

/** Echoes of our own sendings: the sending itself is in the thread. An echo without a decision is not recognised yet. */
const isEcho = (message: Message): boolean =>
  message.direction === 'out' && (message.decision === 'echo' || message.decision === '')

/** The entries that were made: an entry that stays the same object is not drawn again. */
const made = new WeakMap<Message | Sending, Entry>()

function messageEntry(message: Message): Entry {
  const known = made.get(message)
  if (known) return known
  const entry: Entry = { kind: 'message', key: `m${message.id}`, at: Date.parse(message.at), message }
  made.set(message, entry)
  return entry
}

function sendingEntry(sending: Sending, at: number): Entry {
  const known = made.get(sending)
  if (known?.at === at) return known
  const entry: Entry = { kind: 'sending', key: `s${sending.id}`, at, sending }
  made.set(sending, entry)
  return entry
}

/**
 * The thread of what was loaded of both lists, each newest first.
 *
 * A list that goes on (`more`) hides what is older than its end, for its own rows would be missing there. An answer never
 * stands before the message that it answers, whatever the clocks of the site and the server say.
 */
export function thread(
  messages: readonly Message[],
  sendings: readonly Sending[],
  more: { messages: boolean; sendings: boolean },
): Entry[] {
  const messageTimes = new Map(messages.map((message) => [message.message_id, Date.parse(message.at)]))
  const sentAt = (sending: Sending): number =>
    Math.max(Date.parse(sending.at), (messageTimes.get(sending.message_id ?? '') ?? Number.NEGATIVE_INFINITY) + 1)
  const ends = [
    more.messages ? Date.parse(messages.at(-1)?.at ?? '') : Number.NEGATIVE_INFINITY,
    more.sendings ? Date.parse(sendings.at(-1)?.at ?? '') : Number.NEGATIVE_INFINITY,
  ]
  const horizon = Math.max(...ends.filter((end) => !Number.isNaN(end)))
  const entries: Entry[] = [
    ...messages.filter((message) => !isEcho(message)).map(messageEntry),
    ...sendings.map((sending) => sendingEntry(sending, sentAt(sending))),
  ]
  return entries
    .filter((entry) => entry.at >= horizon)
    .sort((a, b) => a.at - b.at || Number(a.kind === 'sending') - Number(b.kind === 'sending') || order(a) - order(b))
}

const order = (entry: Entry): number => (entry.kind === 'message' ? entry.message.id : entry.sending.id)

/** The newest page put before what is known of a list; what it leaves out in between is not kept. Equal rows stay as they are. */
export function renewed<T extends { id: number }>(
  known: readonly T[],
  page: readonly T[],
): { rows: T[]; joins: boolean } {
  const fresh = new Map(page.map((row) => [row.id, row]))
  const before = new Map(known.filter((row) => fresh.has(row.id)).map((row) => [row.id, row]))
  const rows = page.map((row) => {
    const old = before.get(row.id)
    return old && JSON.stringify(old) === JSON.stringify(row) ? old : row
  })
  const joins = before.size > 0
  return { rows: joins ? [...rows, ...known.filter((row) => !fresh.has(row.id))] : rows, joins }
}

/** The thread with the notes and the work between its entries. Those older than what was loaded come with it. */
export function withNotes(
  entries: readonly Entry[],
  notes: readonly Note[],
  isMore: boolean,
  work: readonly WorkEntry[] = [],
): Line[] {
  if (!notes.length && !work.length) return [...entries]
  const from = isMore ? (entries[0]?.at ?? 0) : Number.NEGATIVE_INFINITY
  const noted = notes.map((note) => ({ kind: 'note' as const, key: `n${note.id}`, at: Date.parse(note.at), note }))
  const done = work.map((entry) => {
    const key = `w${entry.at}/${entry.what}/${entry.after}`
    return { kind: 'work' as const, key, at: Date.parse(entry.at), entry }
  })
  const beside: Line[] = [...noted, ...done].filter((line) => line.at >= from)
  return [...entries, ...beside].sort((a, b) => a.at - b.at)
}
