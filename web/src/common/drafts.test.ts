import { expect, test } from 'vitest'
import { nextTick, ref } from 'vue'
import { useDraft } from './drafts'

test('an untouched field follows, an edited one keeps what was typed', async () => {
  const living = ref({ name: 'old', minutes: 1 })
  const draft = useDraft(() => living.value)
  draft.mine.name = 'mine'
  living.value = { name: 'old', minutes: 2 }
  await nextTick()
  expect(draft.mine).toEqual({ name: 'mine', minutes: 2 })
  expect(draft.dirty.value).toEqual(['name'])
  expect(draft.conflicts.value).toEqual([])
  expect(draft.changes.value).toEqual({ name: 'mine' })
})

test('a field that others changed too is in conflict until the user chooses', async () => {
  const living = ref({ name: 'old', minutes: 1 })
  const draft = useDraft(() => living.value)
  draft.mine.name = 'mine'
  draft.mine.minutes = 5
  living.value = { name: 'theirs', minutes: 9 }
  await nextTick()
  expect(draft.conflicts.value).toEqual(['name', 'minutes'])
  draft.take('name')
  draft.keep('minutes')
  expect(draft.conflicts.value).toEqual([])
  expect(draft.changes.value).toEqual({ minutes: 5 })
  expect(draft.mine.name).toBe('theirs')
})

test('when others made the same change there is nothing left to say', async () => {
  const living = ref({ words: ['a'] })
  const draft = useDraft(() => living.value)
  draft.mine.words = ['a', 'b']
  living.value = { words: ['a', 'b'] }
  await nextTick()
  expect(draft.dirty.value).toEqual([])
})
