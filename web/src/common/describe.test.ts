import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en' })
const { actorName, lastText, originText, sentText, summary, valueText } = await import('./describe')
const { knowProviders } = await import('./providerNames')

test('who did it is a user by name, or another program in words', () => {
  expect(actorName('user:ann')).toBe('ann')
  expect(actorName('outside')).toBe('another program, in the database')
  expect(actorName('restore')).toBe('restored from a backup')
  expect(actorName('server')).toBe('server')
})

test('the origin is shown in words, and an unknown one unchanged', () => {
  expect(originText('console 192.0.2.7')).toBe('console 192.0.2.7')
  expect(originText('shell ::1')).toBe('command line ::1')
  expect(originText('robot')).toBe('robot')
  expect(originText('')).toBe('')
})

test('units of a message that was sent are named in its text, and a word that only looks so stays', () => {
  expect(sentText({ text: 'Your code: {codes}', has_units: true })).toBe('Your code: [codes]')
  expect(sentText({ text: 'Your code: {codes}', has_units: false })).toBe('Your code: {codes}')
  expect(sentText({ text: '', has_units: false })).toBe('[picture]')
  expect(lastText({ last_text: 'Your code: {codes}', last_direction: 'out' })).toBe('Your code: [codes]')
  expect(lastText({ last_text: 'What is {codes}?', last_direction: 'in' })).toBe('What is {codes}?')
})

test('a value of the language model is written in the words of its page', () => {
  expect(valueText('draft', 'ai_mode')).toBe('Drafts')
  expect(valueText(0, 'ai_provider_id')).toBe('(empty)')
  expect(valueText(2, 'ai_provider_id')).toBe('a model provider')
  knowProviders([{ id: 2, name: 'DeepSeek' }])
  expect(valueText(2, 'ai_provider_id')).toBe('DeepSeek')
  expect(valueText('', 'ai_facts')).toBe('(empty)')
  expect(valueText('[["Post?","Free"],["New?","Yes"]]', 'ai_facts')).toBe('Post? · Free\nNew? · Yes')
})

test('a lowest price, which is stored in fen, is written in yuan', () => {
  expect(summary({ price_floor_fen: [null, 2050] })).toBe('Lowest price (yuan) (empty) → 20.50')
})

test('a change of rules is shown in one line as how many were added, changed and removed', () => {
  expect(summary({ keywords: { added: [{}] }, restart_nonce: [0, 1] })).toBe('1 rule added · Reconnected')
  expect(summary({ deliveries: { added: 2, removed: [{}], edited: [] } })).toBe(
    '2 delivery rules added · 1 delivery rule removed',
  )
  expect(summary({ keywords: { order: [[], []] } })).toBe('Rules')
  expect(summary({ pause_duration: [10, 15] })).toBe('Pause after your own reply (min) 10 → 15')
})
