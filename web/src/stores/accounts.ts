/** Every account as the server last told it, kept up to date by the line. */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, triggerRef } from 'vue'
import type { Account } from '../api'
import { isMute, needsHand } from '../arrange'
import { type Change, Line, type LineState, type Talk } from '../live'
import { withoutTags } from '../tags'
import { useSession } from './session'

const RECENT = 40

export const useAccounts = defineStore('accounts', () => {
  const rows = shallowRef(new Map<string, Account>())
  /** The ids in the order of their names; renewed only when an account comes or goes. */
  const ids = shallowRef<string[]>([])
  const recent = shallowRef<Change[]>([])
  /** The last things that happened in chats: whoever shows chats watches it. */
  const talked = shallowRef<Talk[]>([])
  const line = ref<LineState>('connecting')
  const loaded = ref(false)
  /** When the server last said anything, in milliseconds. */
  let heard = 0
  /** The same, as it was when the line broke. */
  const heardAt = ref('')
  let open: Line | null = null

  const collator = new Intl.Collator(['zh-CN', 'en'], { numeric: true })

  function order(): void {
    ids.value = [...rows.value.keys()].sort(collator.compare)
  }

  function follow(): void {
    open ??= new Line({
      snapshot(accounts) {
        rows.value = new Map(accounts.map((account) => [account.id, account]))
        order()
        loaded.value = true
      },
      batch(accounts, removed, changes) {
        const map = rows.value
        const before = map.size
        let moved = false
        for (const id of removed) moved = map.delete(id) || moved
        for (const account of accounts) map.set(account.id, account)
        if (moved || map.size !== before) order()
        triggerRef(rows)
        if (changes.length) recent.value = [...changes.toReversed(), ...recent.value].slice(0, RECENT)
      },
      talks(talks) {
        talked.value = talks
      },
      heard() {
        heard = Date.now()
      },
      state(next) {
        if (next === 'lost' && line.value === 'live') heardAt.value = new Date(heard).toISOString()
        line.value = next
      },
      signedOut() {
        useSession().lapse()
      },
    })
  }

  function leave(): void {
    open?.close()
    open = null
    rows.value = new Map()
    ids.value = []
    recent.value = []
    loaded.value = false
    line.value = 'connecting'
  }

  const list = computed<Account[]>(() => {
    const map = rows.value
    return ids.value.flatMap((id) => map.get(id) ?? [])
  })

  const counts = computed(() => {
    const found = { all: 0, running: 0, mute: 0, hand: 0, busy: 0, retrying: 0, off: 0 }
    for (const account of rows.value.values()) {
      found.all += 1
      if (needsHand(account)) found.hand += 1
      if (isMute(account)) found.mute += 1
      else if (account.state === 'running') found.running += 1
      if (account.state === 'retrying') found.retrying += 1
      if (account.state === 'starting' || account.state === 'stopping' || account.state === 'waiting') found.busy += 1
      if (!account.enabled) found.off += 1
    }
    return found
  })

  const get = (id: string): Account | undefined => rows.value.get(id)

  /** What its owner calls a shop: the remark without its tags, or else the id. */
  const nameOf = (id: string): string => withoutTags(get(id)?.remark ?? '') || id

  return { rows, list, recent, talked, line, heardAt, loaded, counts, get, nameOf, follow, leave }
})
