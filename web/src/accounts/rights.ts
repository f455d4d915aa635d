/** What the person may do with a shop that may be somebody else's. */
import type { Account } from '../common/api'
import { t } from '../i18n'

export type Right = Account['permission']

/** In rising order: each contains the ones before. */
const RISING: Right[] = ['read', 'reply', 'operate', 'own']

/** Whether the person may. A shop that is not known is not theirs to touch. */
export function may(account: Pick<Account, 'permission'> | undefined, right: Right): boolean {
  return account !== undefined && RISING.indexOf(account.permission) >= RISING.indexOf(right)
}

/** Why not, as a sentence; empty when they may. */
export function whyNot(account: Pick<Account, 'permission'> | undefined, right: Right): string {
  if (may(account, right)) return ''
  return right === 'own' ? t('share.ownerOnly') : t('share.needs', { right: t(`people.rights.${right}`) })
}
