/** Goods as the console shows them. */
import { type Goods, path } from '../common/api'
import { count } from '../common/clock'
import { t } from '../i18n'

/** The address of goods, or of something of them, at the server. */
export const goodsPath = (id: number, ...rest: string[]): string => path('goods', String(id), ...rest)

export const hasUnits = (goods: Goods): boolean => goods.kind === 'stock' || goods.kind === 'reusable'

export const isSupplied = (goods: Goods): boolean => goods.kind === 'supplier'

/** How long the stock lasts at the pace of the last week. */
export function lasting(goods: Goods): string {
  return goods.days_left === null ? t('stock.noPace') : t('stock.days', { n: count(Math.floor(goods.days_left)) })
}

const RANKS = { empty: 0, low: 1, '': 2, off: 3 } as const

/** The goods in their order, but first those that buyers wait for: sold out, then nearly so. */
export const neededFirst = (list: readonly Goods[]): Goods[] =>
  [...list].sort((one, other) => RANKS[mark(one)] - RANKS[mark(other)])

/** What needs the owner: nothing is free, or little. */
export function mark(goods: Goods): 'off' | 'empty' | 'low' | '' {
  if (!goods.active) return 'off'
  if (!hasUnits(goods)) return ''
  if (!goods.units.free) return 'empty'
  return goods.low ? 'low' : ''
}
