/** The prices of an item in words: one line for each spec, else one for the item. */
import { t } from '../i18n'
import { fenText } from './money'
import type { ItemPage } from './shapes'

export function specLines(item: Pick<ItemPage, 'price_fen' | 'specs'>): string[] {
  if (!item.specs.length) return item.price_fen === null ? [] : [fenText(item.price_fen)]
  return item.specs.map((spec) => {
    const line = `${spec.name} ${fenText(spec.price_fen)}`
    return spec.left === 0 ? `${line} · ${t('model.specSoldOut')}` : line
  })
}
