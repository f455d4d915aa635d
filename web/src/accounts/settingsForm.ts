/** The form of a shop's settings: one draft of all fields, saved as one change, merged with changes by others. */
import { computed, type InjectionKey, inject, provide, ref, watch } from 'vue'
import { type Account, type ChangeFacts, call, type HistoryRow, type Page, path, Refusal } from '../common/api'
import { actorName, fieldName, valueText } from '../common/describe'
import { useDraft } from '../common/drafts'
import { asTrouble, type Trouble } from '../common/faults'
import { SETTINGS, type SettingName } from '../common/settings'
import { useToasts } from '../common/toasts'
import type { Culprit } from '../common/ui/ConflictNote.vue'
import { useUnsaved } from '../common/unsaved'
import { t } from '../i18n'
import { useChanges } from './changes'
import { useAccounts } from './store'

const ALL = Object.keys(SETTINGS) as SettingName[]
/** What is saved with the form; the switch of confirmations is saved by itself. */
const FIELDS = ALL.filter((field) => field !== 'auto_confirm')

/** The rows of a card: those of a group, or those of its numbers or of all others. */
export const rowsOf = (group: string, numbers?: boolean): SettingName[] =>
  ALL.filter((field) => {
    const one = SETTINGS[field]
    return one.group === group && (numbers === undefined || numbers === (one.kind === 'number'))
  })

type Settings = Pick<Account['desired'], SettingName>

const settingsOf = (desired: Account['desired']): Settings =>
  Object.fromEntries(FIELDS.map((field) => [field, desired[field]])) as Settings

type Draft = ReturnType<typeof useDraft<Settings>>

/** What the note on a field in conflict says: both values, and who changed it when, from the history. */
function useNotes(account: () => Account, { mine, theirs, conflicts }: Draft) {
  const culprits = ref<Partial<Record<SettingName, Culprit>>>({})
  watch(conflicts, async (fields) => {
    if (!fields.some((field) => !culprits.value[field])) return
    try {
      const { items } = await call<Page<HistoryRow>>('GET', path('cookies', account().id, 'history'), {
        query: { limit: 30 },
      })
      for (const field of fields) {
        const row = items.find((one) => field in one.changes)
        if (row) culprits.value[field] = { actor: actorName(row.actor), at: row.at }
      }
    } catch {
      // The note then says “somebody”.
    }
  })
  return (field: SettingName) => ({
    field: fieldName(field),
    theirs: valueText(theirs[field]),
    mine: valueText(mine[field]),
    culprit: culprits.value[field],
  })
}

/** The proxy stands beside the draft: what is shown of it can never be sent back. */
function useProxyWish() {
  const proxy = ref<string | null | undefined>()
  const proxyDirty = computed(() => proxy.value === null || Boolean(proxy.value?.trim()))
  /** Counts the beginnings of the field: each is a field of its own. */
  const proxyTurn = ref(0)
  function forgetProxy(): void {
    proxy.value = undefined
    proxyTurn.value += 1
  }
  return { proxy, proxyDirty, proxyTurn, forgetProxy }
}

function createForm(account: () => Account) {
  const changes = useChanges()
  const accounts = useAccounts()
  const toasts = useToasts()
  const busy = ref(false)
  const problem = ref<Trouble>('')
  const draft = useDraft(() => settingsOf(account().desired))
  const { mine, theirs, conflicts } = draft
  const note = useNotes(account, draft)
  const { proxy, proxyDirty, proxyTurn, forgetProxy } = useProxyWish()
  const unsaved = computed(() => draft.dirty.value.length + Number(proxyDirty.value))

  function discard(): void {
    draft.discard()
    forgetProxy()
    problem.value = ''
  }

  async function save(): Promise<void> {
    if (busy.value || !unsaved.value) return
    if (conflicts.value.length) {
      document.querySelector<HTMLElement>('[data-conflict] button')?.focus()
      return
    }
    busy.value = true
    problem.value = ''
    const { id, generation } = account()
    const body = { ...draft.changes.value, ...(proxyDirty.value && { proxy: proxy.value?.trim() ?? null }) }
    try {
      const facts = await call<ChangeFacts & { settings: Account['desired'] }>(
        'PATCH',
        path('cookies', id, 'settings'),
        { body, ifMatch: `"g${generation}"`, query: { wait: 0 } },
      )
      for (const field of draft.dirty.value) theirs[field] = facts.settings[field] as never
      draft.discard()
      forgetProxy()
      toasts.done(t('account.saved', { id: accounts.nameOf(id) }), 'proxy' in body ? undefined : changes.undoing(facts))
    } catch (error) {
      if (error instanceof Refusal && error.status === 412) await merge(error)
      else problem.value = asTrouble(error)
    } finally {
      busy.value = false
    }
  }

  /** Somebody was faster: what clashes is shown; if nothing does, it is saved on top of theirs. */
  async function merge(refusal: Refusal): Promise<void> {
    const now = refusal.current as Account | undefined
    if (!now) {
      problem.value = refusal.message
      return
    }
    await changes.shown(account().id, now.generation)
    draft.follow(settingsOf(now.desired))
    if (!conflicts.value.length && account().generation >= now.generation) {
      busy.value = false
      await save()
    }
  }

  const isClashing = (field: SettingName): boolean => conflicts.value.includes(field)
  const { take, keep } = draft
  return { mine, proxy, proxyTurn, unsaved, busy, problem, save, discard, isClashing, note, take, keep }
}

type SettingsForm = ReturnType<typeof createForm>
const FORM: InjectionKey<SettingsForm> = Symbol('settings form')

/** Provide the form of a shop's settings to the cards of the page, and ask before unsaved changes are left. */
export function provideSettingsForm(account: () => Account): SettingsForm {
  const form = createForm(account)
  provide(FORM, form)
  useUnsaved(() => form.unsaved.value > 0)
  return form
}

/** The form to which a card of the settings belongs. */
export function useSettingsForm(): SettingsForm {
  const form = inject(FORM)
  if (!form) throw new Error('a card of the settings stands outside of their form')
  return form
}
