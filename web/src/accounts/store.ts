/** Every account as the server last sent it, kept up to date by the line. */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, triggerRef } from 'vue'
import type { Account } from '../common/api'
import { useLine } from '../common/line'
import { steady } from '../common/steady'
import { isMute, needsHand } from './arrange'
import { withoutTags } from './tags'

/** How many shops there are in all, and of each kind. */
type Counts = Record<'all' | 'running' | 'mute' | 'hand' | 'busy' | 'retrying' | 'off', number>

/** What its owner calls a shop: its name, or the remark without its tags, or else the id. */
export const shopName = (account: Account): string => account.name || withoutTags(account.remark) || account.id

export const useAccounts = defineStore('accounts', () => {
  const line = useLine()
  const rows = shallowRef(new Map<string, Account>())
  /** The ids in the order of their names; renewed only when an account comes or goes. */
  const ids = shallowRef<string[]>([])
  const loaded = ref(false)

  const collator = new Intl.Collator(['zh-CN', 'en'], { numeric: true })

  function order(): void {
    ids.value = [...rows.value.keys()].sort(collator.compare)
  }

  function follow(): void {
    line.open({
      snapshot(accounts) {
        rows.value = new Map(accounts.map((account) => [account.id, account]))
        order()
        loaded.value = true
      },
      batch(accounts, removed) {
        const map = rows.value
        const before = map.size
        let moved = false
        for (const id of removed) moved = map.delete(id) || moved
        for (const account of accounts) map.set(account.id, account)
        if (moved || map.size !== before) order()
        triggerRef(rows)
      },
    })
  }

  function leave(): void {
    line.close()
    rows.value = new Map()
    ids.value = []
    loaded.value = false
  }

  const list = computed<Account[]>(() => {
    const found: Account[] = []
    for (const id of ids.value) {
      const account = rows.value.get(id)
      if (account) found.push(account)
    }
    return found
  })

  const counts = computed<Counts>((before) => {
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
    return steady(found, before)
  })

  const get = (id: string): Account | undefined => rows.value.get(id)

  /** The same for who has its id only. What asks here is drawn again with every change of any shop. */
  function nameOf(id: string): string {
    const account = get(id)
    return account ? shopName(account) : id
  }

  return { rows, list, loaded, counts, get, nameOf, follow, leave }
})
