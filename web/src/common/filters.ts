/** What is sought in a list, kept in the address: it survives a reload, and can be sent to somebody. */
import { computed, onScopeDispose, reactive, shallowRef, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { same } from './drafts'

const TYPING_MS = 250

/**
 * Texts by their names in the query of the address; empty ones are left out of it.
 *
 * `values` are what the fields show, `sought` is what the list shows: a moment later where somebody types.
 */
export function useFilters<Name extends string>(...names: Name[]) {
  const route = useRoute()
  const router = useRouter()
  const page = route.name
  type Values = Record<Name, string>

  const fromQuery = (): Values =>
    Object.fromEntries(
      names.map((name) => [name, typeof route.query[name] === 'string' ? route.query[name] : '']),
    ) as Values
  const values = reactive(fromQuery()) as Values
  const sought = shallowRef(fromQuery())
  const queryOf = (from: Values): Partial<Values> =>
    Object.fromEntries(
      names.filter((name) => from[name].trim()).map((name) => [name, from[name].trim()]),
    ) as Partial<Values>
  const query = computed(() => queryOf(sought.value))
  const isFiltered = computed(() => Object.keys(query.value).length > 0)
  let timer = 0

  watch(
    () => ({ ...values }),
    (now) => {
      clearTimeout(timer)
      const differing = names.filter((name) => now[name] !== sought.value[name])
      if (!differing.length) return
      const typed = differing.every((name) => name === 'q')
      timer = window.setTimeout(
        () => {
          const before = query.value
          sought.value = now
          if (!same(before, query.value)) void router.replace({ query: query.value })
        },
        typed ? TYPING_MS : 0,
      )
    },
  )
  // A link to this very page with something else to seek.
  watch(
    () => route.query,
    () => {
      if (route.name !== page || same(queryOf(fromQuery()), query.value)) return
      Object.assign(values, fromQuery())
    },
  )
  onScopeDispose(() => clearTimeout(timer))

  function clear(): void {
    for (const name of names) values[name] = '' as Values[Name]
  }

  return { values, sought, query, isFiltered, clear }
}
