/** The delivery rules of one shop and what they would do, loaded and changed as one list. */
import { onMounted, onScopeDispose, ref, watch } from 'vue'
import { useChanges } from '../accounts/changes'
import { useAccounts } from '../accounts/store'
import {
  type Account,
  call,
  type DeliveriesReplaced,
  type DeliveryCheck,
  type DeliveryList,
  type DeliveryRule,
  path,
  why,
} from '../common/api'
import { asTrouble, type Trouble } from '../common/faults'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import { withRule } from './deliveries'
import { putRules } from './put'

/** How soon the check is asked again while pages of items are being read. */
const AGAIN_MS = 3_000

const rulesOf = (id: string): Promise<DeliveryList> => call<DeliveryList>('GET', path('cookies', id, 'deliveries'))

export function useDeliveries(account: () => Account) {
  const changes = useChanges()
  const accounts = useAccounts()
  const toasts = useToasts()
  const check = ref<DeliveryCheck | null>(null)
  const list = ref<DeliveryList | null>(null)
  const problem = ref('')
  const checking = ref(false)
  /** While a rule of the form is being saved, and why it was not. */
  const busy = ref(false)
  const refused = ref<Trouble>('')
  let asked = 0
  let again: number | undefined

  async function load(): Promise<void> {
    const turn = ++asked
    window.clearTimeout(again)
    const { id } = account()
    checking.value = true
    try {
      const [rules, found] = await Promise.all([
        rulesOf(id),
        call<DeliveryCheck>('GET', path('cookies', id, 'deliveries', 'check')),
      ])
      if (turn !== asked) return
      list.value = rules
      check.value = found
      problem.value = ''
      if (found.reading) again = window.setTimeout(() => void load(), AGAIN_MS)
    } catch (error) {
      problem.value = t('errors.load', { why: why(error) })
    } finally {
      if (turn === asked) checking.value = false
    }
  }

  onMounted(() => void load())
  onScopeDispose(() => {
    asked++
    window.clearTimeout(again)
  })
  watch(() => [account().generation, account().state], load)

  async function loadRules(): Promise<void> {
    list.value = await rulesOf(account().id)
  }

  /** The check follows: it may wait for pages of items. */
  async function put(change: (rules: DeliveryRule[]) => DeliveryRule[]): Promise<DeliveriesReplaced> {
    const facts = await putRules(account().id, () => list.value, loadRules, change)
    list.value = { rules: facts.rules, generation: facts.generation }
    return facts
  }

  /** Put a rule in the place of `old`, or add it; answers whether it was saved. */
  async function save(rule: DeliveryRule, old: DeliveryRule | null): Promise<boolean> {
    busy.value = true
    refused.value = ''
    try {
      const facts = await put((rules) => withRule(rules, old, rule))
      toasts.done(t('deliveries.saved', { id: accounts.nameOf(account().id) }), changes.undoing(facts))
      void load()
      return true
    } catch (error) {
      refused.value = asTrouble(error)
      return false
    } finally {
      busy.value = false
    }
  }

  async function remove(rule: DeliveryRule): Promise<void> {
    const id = accounts.nameOf(account().id)
    try {
      const facts = await put((rules) => withRule(rules, rule, null))
      toasts.done(t('deliveries.removed', { id }), changes.undoing(facts))
    } catch (error) {
      toasts.refused(t('change.refused', { id, why: why(error) }))
    }
    await load()
  }

  return { check, list, problem, checking, busy, refused, load, save, remove }
}
