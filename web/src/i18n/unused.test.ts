import { expect, test } from 'vitest'
import { zh } from './zh'

const modules = import.meta.glob<string>(['../**/*.{ts,vue}', '!../**/*.test.ts', '!../**/texts.ts', '!./*.ts'], {
  query: '?raw',
  import: 'default',
  eager: true,
})
const sources = Object.values(modules)

function keys(group: object, path = ''): string[] {
  return Object.entries(group).flatMap(([name, value]) =>
    typeof value === 'string' ? [`${path}${name}`] : keys(value, `${path}${name}.`),
  )
}

/** The keys that stand in the code as they are, and patterns of those that it builds. */
function asked(): { plain: Set<string>; built: RegExp[] } {
  const plain = new Set<string>()
  const built = new Set<string>()
  for (const source of sources) {
    for (const [, name] of source.matchAll(/['"`]([\w.]+)['"`]/g)) plain.add(name ?? '')
    for (const [, group] of source.matchAll(/\blabelOf\(\s*['"]([\w.]+)['"]/g)) built.add(`${group}.\${name}`)
    for (const [, template] of source.matchAll(/`([\w.]+\.\w*\$\{[^`]*)`/g)) built.add(template ?? '')
  }
  const pattern = (template: string) =>
    new RegExp(
      `^${template
        .replace(/\$\{[^}]*\}/g, '\0')
        .replaceAll('.', '\\.')
        .replaceAll('\0', '[^.]+')}$`,
    )
  return { plain, built: [...built].map(pattern) }
}

test('every text is used', () => {
  const { plain, built } = asked()
  expect(sources.length).toBeGreaterThan(50)
  expect(keys(zh).filter((key) => !plain.has(key) && !built.some((pattern) => pattern.test(key)))).toEqual([])
})
