/** For how long a shop has been in its state, as a length of time: "since a minute ago" reads as if it had ended. */
import type { Account } from '../common/api'
import { duration } from '../common/clock'
import { t } from '../i18n'

export function lasting(account: Account, at: number): string {
  const time = duration(Math.max(0, at - Date.parse(account.since)))
  return t(account.state === 'running' ? 'time.runs' : 'time.lasts', { time })
}
