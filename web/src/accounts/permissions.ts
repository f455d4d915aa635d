/** What the user may do with a shop that may be somebody else's. */
import type { Account } from '../common/api'
import { t } from '../i18n'

export type Permission = Account['permission']

/** In rising order: each contains the ones before. */
const RISING: Permission[] = ['read', 'reply', 'operate', 'own']

/** Whether the user may. A shop that is not known is not theirs to touch. */
export function may(account: Pick<Account, 'permission'> | undefined, permission: Permission): boolean {
  return account !== undefined && RISING.indexOf(account.permission) >= RISING.indexOf(permission)
}

/** Why not, as a sentence; empty when they may. */
export function whyNot(account: Pick<Account, 'permission'> | undefined, permission: Permission): string {
  if (may(account, permission)) return ''
  return permission === 'own'
    ? t('share.ownerOnly')
    : t('share.needs', { permission: t(`users.permissions.${permission}`) })
}
