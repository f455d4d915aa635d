import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
const { choose } = await import('../i18n')
const { ago, duration, until } = await import('./clock')

test('a number and its unit stand apart in Chinese, in whatever way a time is written', async () => {
  await choose('zh')
  const now = Date.UTC(2026, 0, 1)
  const at = (seconds: number) => new Date(now + seconds * 1000).toISOString()
  expect([ago(at(-5), now), ago(at(-3 * 3600), now)]).toEqual(['5 秒前', '3 小时前'])
  expect([until(at(240), now), duration(240_000)]).toEqual(['4 分钟后', '4 分钟'])
  expect([until(at(90 * 86_400 - 1), now), until(at(100 * 3600), now)]).toEqual(['90 天后', '4 天后'])
  await choose('en')
  expect([ago(at(-5), now), until(at(240), now)]).toEqual(['5 sec. ago', 'in 4 min.'])
})
