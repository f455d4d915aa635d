import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { allKinds, sentFields, sentKinds, shownKinds } = await import('./channelForm')

const service = {
  name: 'ntfy',
  fields: [
    { name: 'server', optional: false, secret: false, default: 'https://ntfy.sh', choices: [] },
    { name: 'topic', optional: false, secret: true, default: '', choices: [] },
    { name: 'token', optional: true, secret: true, default: '', choices: [] },
  ],
}

test('no kinds stand for all but those that are asked for, and those are sent as none', () => {
  const usual = shownKinds([])
  expect(usual).toHaveLength(allKinds().length - 2)
  expect(usual).not.toContain('buyer_waits')
  expect(sentKinds(usual.toReversed())).toEqual([])
  expect(sentKinds([...usual, 'day'])).toEqual([...usual, 'day'])
  expect(sentKinds(usual.slice(1))).toEqual(usual.slice(1))
  expect(shownKinds(['parked'])).toEqual(['parked'])
})

test('what is left empty takes its default or is not sent', () => {
  expect(sentFields(service, { topic: ' shop ', token: '' })).toEqual({ server: 'https://ntfy.sh', topic: 'shop' })
})
