import { expect, test, vi } from 'vitest'
import type { Provider } from './shapes'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { bodyOf, formOf, limitIsIdle, standingOf } = await import('./providerForm')

const stored: Provider = {
  id: 7,
  name: 'DeepSeek',
  kind: 'openai',
  host: 'api.example.com',
  has_key: true,
  model: 'chat',
  price_in_fen: 200,
  price_out_fen: 815,
  calls_per_minute: 12,
  fen_per_day: 500,
  consented_host: 'api.example.com',
  consented_at: '2027-01-01T00:00:00Z',
  created_at: '2027-01-01T00:00:00Z',
  changed_at: '2027-01-01T00:00:00Z',
  resting_until: null,
  failures: 0,
  last_error: '',
  cost_today_microfen: 0,
}

test('an edit sends neither address nor key unless they are written, and prices come back as they were', () => {
  const form = formOf(stored)
  expect(bodyOf(form)).toEqual({
    kind: 'openai',
    name: 'DeepSeek',
    model: 'chat',
    price_in_fen: 200,
    price_out_fen: 815,
    calls_per_minute: 12,
    fen_per_day: 500,
  })
  expect(bodyOf({ ...form, key: ' k ', base_url: 'https://b.example/v1 ' })).toMatchObject({
    key: 'k',
    base_url: 'https://b.example/v1',
  })
})

test('an emptied limit of money is sent as none, and 0 as 0', () => {
  expect(bodyOf({ ...formOf(stored), perDay: null }).fen_per_day).toBeNull()
  expect(bodyOf({ ...formOf(stored), perDay: 0 }).fen_per_day).toBe(0)
})

test('a limit of money is idle without a price', () => {
  const form = { ...formOf(undefined), name: 'a', model: 'm', base_url: 'https://a.example/v1' }
  expect(limitIsIdle({ ...form, perDay: 5 })).toBe(true)
  expect(limitIsIdle({ ...form, perDay: 5, priceOut: 1 })).toBe(false)
})

test('consent holds for its host only; then rest, then money', () => {
  const now = Date.parse('2027-03-01T00:00:00Z')
  const later = '2027-03-01T00:10:00Z'
  expect(standingOf({ ...stored, host: 'new.example', resting_until: later }, now)).toBe('noConsent')
  expect(standingOf({ ...stored, host: '', consented_host: '' }, now)).toBe('noConsent')
  expect(standingOf({ ...stored, resting_until: later }, now)).toBe('resting')
  expect(standingOf({ ...stored, resting_until: '2027-02-28T23:59:59Z' }, now)).toBe('ready')
  expect(standingOf({ ...stored, cost_today_microfen: 500_000_000 }, now)).toBe('spent')
  expect(standingOf({ ...stored, fen_per_day: 0 }, now)).toBe('spent')
  expect(standingOf({ ...stored, fen_per_day: null, cost_today_microfen: 9e12 }, now)).toBe('ready')
})
