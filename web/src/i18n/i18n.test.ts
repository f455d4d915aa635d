import { expect, test } from 'vitest'
import { en } from './en'
import { zh } from './zh'

function texts(group: object, path = ''): [string, string][] {
  return Object.entries(group).flatMap(([name, value]) =>
    typeof value === 'string' ? [[`${path}${name}`, value] as [string, string]] : texts(value, `${path}${name}.`),
  )
}

const holes = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).toSorted()

test('both languages fill in the same holes', () => {
  const english = new Map(texts(en))
  for (const [key, text] of texts(zh)) expect([key, holes(english.get(key) ?? '')]).toEqual([key, holes(text)])
})

test('no text is empty, left in the other language, or holds what the formatter would take for its own', () => {
  for (const [key, text] of texts(zh)) expect(text, key).toMatch(/^[^@|]+$/)
  for (const [key, text] of texts(en)) {
    expect(text, key).toMatch(/^[^@|]+$/)
    if (key !== 'app.language') expect(text, key).not.toMatch(/\p{Script=Han}/u)
  }
})
