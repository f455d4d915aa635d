import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { failureWords, filtersOf, goneBecause, outcomeOf, reasonOf } = await import('./runWords')

test('a draft that is gone says whose doing it was', () => {
  expect(goneBecause({ state: 'superseded', why: 'buyer_wrote' })).toBe('the buyer wrote again')
  expect(goneBecause({ state: 'answered', why: '' })).toBe('someone else sent it')
  expect(goneBecause({ state: 'superseded', why: 'something new' })).toBe('the conversation changed')
  expect(goneBecause(null)).toBe('the conversation changed')
})

test('a run names the check and the reason, and what it does not know as it is', () => {
  expect(reasonOf({ rail: 'amount', why: 'below_floor' })).toBe('Check: Amounts · below the lowest price')
  const agreed = 'Check: Amounts · agrees to a price of the buyer’s that is too low'
  expect(reasonOf({ rail: 'amount', why: 'agreed' })).toBe(agreed)
  expect(reasonOf({ rail: '', why: 'object: missing' })).toBe('object: missing')
  expect(reasonOf({ rail: '', why: '' })).toBe('')
})

test('a run without a call is distinguished from one that failed in it, also in the list', () => {
  expect(outcomeOf({ state: 'failed', called: false })).toBe('not_called')
  expect(outcomeOf({ state: 'failed', called: true })).toBe('failed')
  expect(outcomeOf({ state: 'handed_off', called: false })).toBe('handed_off')
  expect(filtersOf('not_called')).toEqual({ state: 'failed', called: false })
  expect(filtersOf('failed')).toEqual({ state: 'failed', called: true })
  expect(filtersOf('drafted')).toEqual({ state: 'drafted' })
  expect(filtersOf('')).toEqual({})
})

test('a failure of a provider is shown with its status, an unknown one as it came', () => {
  expect(failureWords('status 503')).toBe('the provider reports an error 503')
  expect(failureWords('unreadable')).toBe('the model’s answer isn’t in the required form')
  expect(failureWords('timeout')).toBe('the provider didn’t answer within 20 seconds')
  expect(failureWords('not one JSON object')).toBe('not one JSON object')
})
