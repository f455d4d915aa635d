/** Views of the table of shops that a user gave a name. They are kept in this browser, for each user. */
import { ref } from 'vue'
import type { Filter, SortKey } from './arrange'

export interface View {
  words: string
  filter: Filter
  key: SortKey
  down: boolean
}
export type SavedView = View & { name: string }

export const MOST_VIEWS = 20
const PLACE = 'shoal.views.'

function read(place: string): SavedView[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(place) ?? '[]')
    return Array.isArray(stored) ? (stored as SavedView[]).filter((one) => typeof one?.name === 'string') : []
  } catch {
    return []
  }
}

export function useSavedViews(userId: number) {
  const place = `${PLACE}${userId}`
  const views = ref<SavedView[]>(read(place))

  function keep(next: SavedView[]): void {
    views.value = next
    localStorage.setItem(place, JSON.stringify(next))
  }

  /** Keep a view under a name; one of the same name is replaced, and of too many the oldest goes. */
  function save(name: string, view: View): void {
    const others = views.value.filter((one) => one.name !== name)
    keep([...others, { name, ...view }].slice(-MOST_VIEWS))
  }

  const remove = (name: string): void => keep(views.value.filter((one) => one.name !== name))

  return { views, save, remove }
}
