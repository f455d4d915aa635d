/** A cookie given to a shop, and what the site says of it: until it was asked, nobody knows whether the cookie is good. */
import { type Account, type ChangeFacts, call, path } from '../common/api'
import { labelOf, t } from '../i18n'
import { useChanges } from './changes'
import { useAccounts } from './store'

/** So long a sign-in is waited for. Most take a second; a shop that waits for its turn goes on by itself. */
const WAIT_SECONDS = 20

interface NewShop {
  id: string
  value: string
  proxy?: string
}

interface SignIn {
  /** Whether the cookie was another one. */
  changed: boolean
  shop: Account | undefined
  /** Why the shop waits for its owner. */
  refused: string
  /** How far a shop has come that waits for nobody. */
  word: string
}

export function useFirstSignIn() {
  const accounts = useAccounts()
  const changes = useChanges()

  async function outcome(facts: ChangeFacts, id: string): Promise<SignIn> {
    await changes.shown(id, facts.generation, facts.state)
    const shop = accounts.get(id)
    const why = labelOf('reason', shop?.reason ?? '', '')
    const words: Record<string, string> = { running: t('cookie.isUp'), stopped: '' }
    return {
      changed: facts.changed,
      shop,
      refused: facts.state === 'parked' ? t('cookie.refused', { why }) : '',
      word: words[facts.state] ?? t('cookie.notYet', { state: why || labelOf('state', facts.state) }),
    }
  }

  const query = { wait: WAIT_SECONDS }

  return {
    add: async (body: NewShop): Promise<SignIn> =>
      outcome(await call<ChangeFacts>('POST', '/cookies', { body, query }), body.id),
    replace: async (id: string, value: string): Promise<SignIn> =>
      outcome(await call<ChangeFacts>('PUT', path('cookies', id), { body: { id, value }, query }), id),
  }
}
