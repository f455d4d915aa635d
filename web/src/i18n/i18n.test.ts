import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test, vi } from 'vitest'
import { en } from './en'
import { zh } from './zh'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { choose, t } = await import('.')

function texts(group: object, path = ''): [string, string][] {
  return Object.entries(group).flatMap(([name, value]) =>
    typeof value === 'string' ? [[`${path}${name}`, value] as [string, string]] : texts(value, `${path}${name}.`),
  )
}

const holes = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).toSorted()

test('both languages fill in the same holes, in each plural form', () => {
  const english = new Map(texts(en))
  for (const [key, text] of texts(zh)) {
    const forms = (english.get(key) ?? '').split(' | ')
    expect(forms.length, key).toBeLessThanOrEqual(2)
    expect([key, holes(forms.at(-1) ?? '')]).toEqual([key, holes(text)])
    for (const form of forms) expect(holes(text), key).toEqual(expect.arrayContaining(holes(form)))
  }
})

test('a number chooses the plural form', async () => {
  await choose('en')
  expect([0, 1, 2].map((n) => t('users.list.shops', { n }))).toEqual(['0 shops', '1 shop', '2 shops'])
  expect(t('users.list.shops', { n: '1' })).toBe('1 shop')
  expect(t('users.list.shops', { n: '1,200' })).toBe('1,200 shops')
  await choose('zh')
  expect(t('users.list.shops', { n: 1 })).toBe('1 个店铺')
})

test('of two choices the last one holds', async () => {
  await Promise.all([choose('en'), choose('zh')])
  expect(t('app.retry')).toMatch(/\p{Script=Han}/u)
  await Promise.all([choose('zh'), choose('en')])
  expect(t('app.retry')).not.toMatch(/\p{Script=Han}/u)
})

test('no text is empty, left in the other language, or holds what the formatter would take for its own', () => {
  for (const [key, text] of texts(zh)) expect(text, key).toMatch(/^[^@|]+$/)
  for (const [key, text] of texts(en)) {
    expect(text, key).toMatch(/^[^@|]+( \| [^@|]+)?$/)
    if (key !== 'app.language') expect(text, key).not.toMatch(/\p{Script=Han}/u)
  }
})

test('tables that are joined share no name, so none hides the text of another', async () => {
  const source = readFileSync(fileURLToPath(new URL('zh.ts', import.meta.url)), 'utf8')
  const files = new Map(
    [...source.matchAll(/import \{ (\w+) \} from '(\.[^']+)'/g)].map(([, name, file]) => [name, file]),
  )
  const joins = [...source.matchAll(/(?:\s*\.\.\.[\w.]+,?){2,}/g)].map(([join]) => join.match(/\w+\.zh[\w.]*/g) ?? [])
  expect(joins.length).toBeGreaterThanOrEqual(6)
  for (const join of joins) {
    const names: string[] = []
    for (const place of join) {
      const [table = '', ...path] = place.split('.')
      const held = (await import(/* @vite-ignore */ String(files.get(table))))[table]
      names.push(...Object.keys(path.reduce((inner, part) => inner[part], held)))
    }
    expect(names.length, join.join(', ')).toBeGreaterThan(1)
    expect(
      names.filter((name, place) => names.indexOf(name) !== place),
      join.join(', '),
    ).toEqual([])
  }
})
