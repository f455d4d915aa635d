/** Changing accounts: shown at once, taken back when the server refuses, and undone when somebody thinks better of it. */
import { defineStore } from 'pinia'
import { reactive, ref } from 'vue'
import { type Account, type ChangeFacts, call, path, Refusal, why } from '../common/api'
import { useToasts } from '../common/toasts'
import { labelOf, t } from '../i18n'
import { isMute } from './arrange'
import { useAccounts } from './store'
import { useUndos } from './undos'

/** What is done to one shop in a dialog. */
export type ShopAction = 'edit' | 'replace' | 'remove'

export type Flag = 'enabled' | 'auto_confirm'

export const useChanges = defineStore('changes', () => {
  const accounts = useAccounts()
  const toasts = useToasts()
  const { undo, undoing } = useUndos()
  /** What was asked for and is not answered yet, by account and field. */
  const asked = reactive(new Map<string, boolean>())

  const flag = (account: Account, name: Flag): boolean => asked.get(`${account.id} ${name}`) ?? account.desired[name]
  const isAsked = (account: Account, name: Flag): boolean => asked.has(`${account.id} ${name}`)

  async function setFlag(account: Account, name: Flag, wanted: boolean): Promise<void> {
    const key = `${account.id} ${name}`
    asked.set(key, wanted)
    try {
      const facts =
        name === 'enabled'
          ? await call<ChangeFacts>('PUT', path('cookies', account.id, 'status'), {
              body: { enabled: wanted },
              query: { wait: 0 },
            })
          : await call<ChangeFacts>('PUT', path('cookies', account.id, 'auto-confirm'), {
              body: { auto_confirm: wanted },
            })
      await shown(account.id, facts.generation)
      const id = accounts.nameOf(account.id)
      const words = {
        enabled: wanted ? t('change.enabled', { id }) : t('change.disabled', { id }),
        auto_confirm: wanted ? t('change.confirmOn', { id }) : t('change.confirmOff', { id }),
      }
      toasts.done(words[name], undoing(facts))
    } catch (error) {
      toasts.refused(t('change.refused', { id: accounts.nameOf(account.id), why: why(error) }))
    } finally {
      if (asked.get(key) === wanted) asked.delete(key)
    }
  }

  /** Wait until the line has delivered the change, so that a switch never flickers back; at most 2 s. `state`: and it. */
  async function shown(id: string, generation: number, state?: string): Promise<void> {
    for (let waited = 0; waited < 2000; waited += 25) {
      const seen = accounts.get(id)
      if (seen ? seen.generation >= generation && (!state || seen.state === state) : !state) return
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }

  /** The shop that was to be resumed with the cookie that the site stopped: somebody is asked about it. */
  const unchanged = ref<Account | null>(null)

  async function resume(account: Account, anyway = false): Promise<void> {
    unchanged.value = null
    try {
      await call('POST', path('cookies', account.id, 'resume'), { query: { wait: 0, ...(anyway && { anyway: true }) } })
      toasts.done(t('change.resumed', { id: accounts.nameOf(account.id) }))
    } catch (error) {
      if (error instanceof Refusal && error.code === 'cookie_unchanged') {
        unchanged.value = account
        return
      }
      toasts.refused(t('change.refused', { id: accounts.nameOf(account.id), why: why(error) }))
    }
  }

  return { flag, isAsked, setFlag, resume, unchanged, undo, undoing, shown }
})

/** Why an account is as it is, for a user; empty when there is nothing to say. */
export function reasonOf(account: Account): string {
  if (isMute(account)) return account.answers === 'orders' ? t('mute.orders') : t('mute.nothing')
  return account.reason ? labelOf('reason', account.reason) : ''
}

/** What the owner asked for and the task has not reached yet. */
export function gapOf({ desired, state }: Account): string {
  if (desired.enabled && (state === 'starting' || state === 'waiting')) return t('accounts.wanted')
  return !desired.enabled && state === 'stopping' ? t('accounts.unwanted') : ''
}
