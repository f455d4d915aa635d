/** The live line as pages see it: how it stands, and the newest changes and events. */
import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import type { Account } from './api'
import { type Change, Line, type LineState, type LiveEvent } from './live'
import { useSession } from './session'

const RECENT = 40

/** What is done with the accounts that the line reports. */
export interface Receiver {
  snapshot(accounts: Account[]): void
  batch(accounts: Account[], removed: string[]): void
}

export const useLine = defineStore('line', () => {
  const state = ref<LineState>('connecting')
  const recent = shallowRef<Change[]>([])
  /** The events of the newest batch, watched by pages that show what they are about. */
  const lastEvents = shallowRef<LiveEvent[]>([])
  /** When the server last sent anything, in milliseconds. */
  let lastReceived = 0
  /** The same, as it was when the line broke. */
  const lastReceivedAt = ref('')
  let line: Line | null = null

  function open(receiver: Receiver): void {
    line ??= new Line({
      snapshot: receiver.snapshot,
      batch(accounts, removed, changes) {
        receiver.batch(accounts, removed)
        if (changes.length) recent.value = [...changes.toReversed(), ...recent.value].slice(0, RECENT)
      },
      events(events) {
        lastEvents.value = events
      },
      received() {
        lastReceived = Date.now()
      },
      state(next) {
        if (next === 'lost' && state.value === 'live') lastReceivedAt.value = new Date(lastReceived).toISOString()
        state.value = next
      },
      signedOut() {
        useSession().lapse()
      },
    })
  }

  function close(): void {
    line?.close()
    line = null
    recent.value = []
    state.value = 'connecting'
  }

  return { state, recent, lastEvents, lastReceivedAt, open, close }
})
