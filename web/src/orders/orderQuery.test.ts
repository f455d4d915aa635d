import { describe, expect, it } from 'vitest'
import { daysOf, FILTERS, type Filters, fileOf, queryOf } from './orderQuery'

const none = Object.fromEntries(FILTERS.map((name) => [name, ''])) as Filters

describe('what is sought among orders', () => {
  it('asks for nothing where nothing is sought', () => {
    expect(Object.values(queryOf(none, ['shipped'])).filter((value) => value !== undefined)).toEqual([])
  })

  it('leaves out a state that the server does not know, and asks for the days that were chosen', () => {
    const sought = {
      ...none,
      q: ' 7891 ',
      status: 'nonsense',
      filter: 'hand',
      time: 'days',
      from: '2026-03-01',
      to: '2026-03-02',
    }
    const query = queryOf(sought, ['shipped'])
    expect(query).toMatchObject({ q: '7891', problem: true, status: undefined })
    expect(query.since).toBe(new Date(2026, 2, 1).toISOString())
    expect(query.until).toBe(new Date(2026, 2, 3).toISOString())
  })

  it('names a file by the same filters', () => {
    const address = new URL(fileOf(queryOf({ ...none, cid: 'a&b', item: '7001' }, []), 'xlsx'), 'http://x')
    expect(address.pathname).toBe('/orders/export')
    expect(Object.fromEntries(address.searchParams)).toMatchObject({ account: 'a&b', item: '7001', format: 'xlsx' })
    expect(address.searchParams.get('tz')).toBeTruthy()
    expect(address.searchParams.has('q')).toBe(false)
  })
})

describe('the days of sums', () => {
  it('are all of the span, in the zone of the shop', () => {
    expect(daysOf('2026-02-27T16:00:00.000Z', '2026-03-02T16:00:00.000Z', 'Asia/Shanghai')).toEqual([
      '2026-02-28',
      '2026-03-01',
      '2026-03-02',
    ])
  })

  it('end today, and are none in the future', () => {
    const ahead = new Date(Date.now() + 10 * 86_400_000).toISOString()
    const later = new Date(Date.now() + 12 * 86_400_000).toISOString()
    expect(daysOf(ahead, later, 'UTC')).toEqual([])
    expect(daysOf(new Date().toISOString(), later, 'UTC')).toHaveLength(1)
  })
})
