/** The live line as pages see it: how it stands, and what was changed and said last. */
import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import type { Account } from './api'
import { type Change, Line, type LineState, type Talk } from './live'
import { useSession } from './session'

const RECENT = 40

/** What is done with the accounts that the line tells about. */
export interface Receiver {
  snapshot(accounts: Account[]): void
  batch(accounts: Account[], removed: string[]): void
}

export const useLine = defineStore('line', () => {
  const state = ref<LineState>('connecting')
  const recent = shallowRef<Change[]>([])
  /** The latest events of chats, watched by pages that show chats. */
  const talked = shallowRef<Talk[]>([])
  /** When the server last said anything, in milliseconds. */
  let heard = 0
  /** The same, as it was when the line broke. */
  const heardAt = ref('')
  let line: Line | null = null

  function open(receiver: Receiver): void {
    line ??= new Line({
      snapshot: receiver.snapshot,
      batch(accounts, removed, changes) {
        receiver.batch(accounts, removed)
        if (changes.length) recent.value = [...changes.toReversed(), ...recent.value].slice(0, RECENT)
      },
      talks(talks) {
        talked.value = talks
      },
      heard() {
        heard = Date.now()
      },
      state(next) {
        if (next === 'lost' && state.value === 'live') heardAt.value = new Date(heard).toISOString()
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

  return { state, recent, talked, heardAt, open, close }
})
