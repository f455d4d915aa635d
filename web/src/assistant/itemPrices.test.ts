import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { specLines } = await import('./itemPrices')

test('an item has a line for each spec, or one for its only price, or none', () => {
  const month = { name: '时长:月卡', price_fen: 2500, left: 3 }
  expect(specLines({ price_fen: null, specs: [month, { ...month, name: '年卡', left: 0 }] })).toEqual([
    '时长:月卡 ¥25.00',
    '年卡 ¥25.00 · sold out',
  ])
  expect(specLines({ price_fen: 1990, specs: [] })).toEqual(['¥19.90'])
  expect(specLines({ price_fen: null, specs: [] })).toEqual([])
})
