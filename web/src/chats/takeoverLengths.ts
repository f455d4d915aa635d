/** For how long a chat may be taken over, and how such a length is written. */
import { t } from '../i18n'

/** In minutes. */
export const LENGTHS = [10, 60, 480, 1440, 10080]

/** Write a length in the largest unit that fits it. */
export function lengthName(minutes: number): string {
  if (minutes < 120) return t('conversations.minutes', { n: minutes })
  if (minutes < 2880) return t('conversations.hours', { n: Math.round(minutes / 60) })
  return t('conversations.days', { n: Math.round(minutes / 1440) })
}
