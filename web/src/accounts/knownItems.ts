/** The items that are known of a shop: those on sale, those that its settings name, and those it sold. */
import { computed, ref } from 'vue'
import { call, path } from '../common/api'
import type { components } from '../common/schema'
import { t } from '../i18n'

type Known = components['schemas']['KnownItems']
const FRESH_MS = 60_000

export interface KnownItem {
  id: string
  title: string
  /** As it is shown; empty while it is not known. */
  price: string
  /** An address of this server; empty while there is none. */
  picture: string
}

/** What a shop's items are called. Nothing is asked of the server before `load`. */
export function useKnownItems(account: () => string) {
  const kept = ref({ account: '', at: 0, items: new Map<string, KnownItem>() })
  const busy = ref(false)
  const items = computed(() => (kept.value.account === account() ? [...kept.value.items.values()] : []))

  const find = (id: string): KnownItem | undefined =>
    kept.value.account === account() ? kept.value.items.get(id) : undefined

  /** Read them, unless they were read within a minute and have these. */
  async function load(ids: string[] = []): Promise<void> {
    const shop = account()
    const isFresh = kept.value.account === shop && Date.now() - kept.value.at < FRESH_MS && ids.every(find)
    if (!shop || isFresh || busy.value) return
    busy.value = true
    try {
      const { items: rows } = await call<Known>('GET', path('items', 'cookie', shop))
      const found = rows.map((row): [string, KnownItem] => [
        row.item_id,
        { id: row.item_id, title: row.item_title, price: row.item_price ?? '', picture: row.item_picture ?? '' },
      ])
      kept.value = { account: shop, at: Date.now(), items: new Map(found) }
    } catch {
      // a convenience: a number or a link of an item can be typed
    } finally {
      busy.value = false
    }
  }

  const nameOf = (id: string): string => find(id)?.title || t('desk.itemNoTitle', { id })
  /** The same in a sentence that says itself that it is an item. */
  const titleOf = (id: string): string => find(id)?.title || id

  return { items, busy, load, find, nameOf, titleOf }
}
