/** What a paid order waits for, and for how long: the line that says so. */
import type { Order } from '../common/api'
import { ago } from '../common/clock'
import { t } from '../i18n'

export const waitsOf = (waits: NonNullable<Order['waits']>, now: number): string =>
  t('orders.waitLine', { what: t(`orders.waitsFor.${waits.for}`), since: ago(waits.since, now) })
