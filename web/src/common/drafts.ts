/** A form over values that others may change too: my values, their values, and conflicts. */
import { computed, type Ref, reactive, ref, watch } from 'vue'

export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/**
 * Values to be edited, field by field, beside the living ones.
 *
 * An untouched field follows the live value. One that was touched keeps what was typed; when the living
 * value moves away from what the typing began with, the field is in conflict until somebody chooses. Nothing is followed
 * while it is `held`.
 */
export function useDraft<T extends Record<string, unknown>>(living: () => T, held: Ref<boolean> = ref(false)) {
  const fields = Object.keys(living()) as (keyof T & string)[]
  const mine = reactive(copy(living())) as T
  const base = reactive(copy(living())) as T
  const theirs = reactive(copy(living())) as T

  function follow(next: T): void {
    for (const field of fields) {
      theirs[field] = copy(next[field])
      if (same(mine[field], base[field]) || same(mine[field], next[field])) take(field)
    }
  }

  /** Give up what was typed. */
  function take(field: keyof T & string): void {
    mine[field] = copy(theirs[field])
    base[field] = copy(theirs[field])
  }

  /** Stay with what was typed, knowing what the others have. */
  function keep(field: keyof T & string): void {
    base[field] = copy(theirs[field])
  }

  const dirty = computed(() => fields.filter((field) => !same(mine[field], base[field])))
  const conflicts = computed(() => dirty.value.filter((field) => !same(theirs[field], base[field])))
  /** What is to be sent. */
  const changes = computed(
    () => Object.fromEntries(dirty.value.map((field) => [field, copy(mine[field])])) as Partial<T>,
  )

  function discard(): void {
    for (const field of fields) take(field)
  }

  watch(
    [living, held],
    ([next, isHeld]) => {
      if (!isHeld) follow(next)
    },
    { deep: true },
  )

  return { mine, theirs, dirty, conflicts, changes, take, keep, discard, follow }
}
