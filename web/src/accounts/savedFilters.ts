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
const VIEWS = 'shoal.views'

/** The views of every user of this browser, by the user's id. */
function stored(): Record<string, SavedView[]> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(VIEWS) ?? '{}')
    return found && typeof found === 'object' ? (found as Record<string, SavedView[]>) : {}
  } catch {
    return {}
  }
}

function viewsOf(userId: number): SavedView[] {
  const found = stored()[userId]
  return Array.isArray(found) ? found.filter((one) => typeof one?.name === 'string') : []
}

export function useSavedViews(userId: number) {
  const views = ref<SavedView[]>(viewsOf(userId))

  function keep(next: SavedView[]): void {
    views.value = next
    localStorage.setItem(VIEWS, JSON.stringify({ ...stored(), [userId]: next }))
  }

  /** Keep a view under a name; one of the same name is replaced, and of too many the oldest goes. */
  function save(name: string, view: View): void {
    const others = views.value.filter((one) => one.name !== name)
    keep([...others, { name, ...view }].slice(-MOST_VIEWS))
  }

  const remove = (name: string): void => keep(views.value.filter((one) => one.name !== name))

  return { views, save, remove }
}
