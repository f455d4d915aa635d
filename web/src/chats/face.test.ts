import { expect, test } from 'vitest'
import { initialOf, toneOf } from './face'

test('the initial is the first character, whole where it takes two code units', () => {
  expect(initialOf(' anna')).toBe('A')
  expect(initialOf('豆豆妈')).toBe('豆')
  expect(initialOf('😀猫')).toBe('😀')
  expect(initialOf(' ')).toBe('?')
})

test('a person keeps the colour, and persons differ', () => {
  expect(toneOf('2200000000099')).toBe(toneOf('2200000000099'))
  const tones = new Set(Array.from({ length: 50 }, (_, n) => toneOf(String(2_200_000_000_000 + n))))
  expect(tones.size).toBeGreaterThan(3)
})
