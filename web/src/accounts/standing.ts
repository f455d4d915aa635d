/** For how long a shop has been in its state, as a length of time: "since a minute ago" reads as if it had ended. */
import type { Account } from '../common/api'
import { duration } from '../common/clock'
import { t } from '../i18n'

const MINUTE = 60_000

/** Seconds are written only below a minute: later they say nothing, and take the room of the reason beside them. */
export function lasting(account: Account, at: number): string {
  const length = at - Date.parse(account.since)
  if (length < 1000) return t('time.justNow')
  const time = duration(length < MINUTE ? length : length - (length % MINUTE))
  return t(account.state === 'running' ? 'time.runs' : 'time.lasts', { time })
}
