import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { helpAddress, helpOfParts, helpPages, helpPlace } from './help'

test('every page of the console has a page of the help', () => {
  const router = readFileSync('src/app/router.ts', 'utf8')
  const names = [...router.matchAll(/\bname: '([\w-]+)'/g)].map((found) => found[1])
  expect(names.length).toBeGreaterThan(10)
  expect(Object.keys(helpPages).toSorted()).toEqual([...new Set(names)].toSorted())
})

test('every page of the help that is linked exists in both languages', () => {
  for (const page of [...Object.values(helpPages), ...Object.values(helpOfParts)]) {
    const source = `../docs/${page ? page.replace(/\/$/, '') : 'index'}`
    expect(existsSync(`${source}.md`), source).toBe(true)
    expect(existsSync(`${source}.en.md`), source).toBe(true)
  }
})

test('the link follows the language', () => {
  expect(helpAddress('account-rules', 'zh')).toBe('/help/howto/rules/')
  expect(helpAddress('account-rules', 'en')).toBe('/help/en/howto/rules/')
  expect(helpAddress('overview', 'en')).toBe('/help/en/')
})

test('an anchor is the same in both languages', () => {
  expect(helpPlace('howto/notices#quiet-hours', 'zh')).toBe('/help/howto/notices/#quiet-hours')
  expect(helpPlace('howto/notices#quiet-hours', 'en')).toBe('/help/en/howto/notices/#quiet-hours')
})
