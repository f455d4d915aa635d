/** Changes of the rules of one shop by a page: reported when done, and confirmed again when another user was faster. */
import { computed, ref, shallowRef } from 'vue'
import { useChanges } from '../accounts/changes'
import { type Account, Refusal, type Rule, why } from '../common/api'
import { count } from '../common/clock'
import { useToasts } from '../common/toasts'
import type { Culprit } from '../common/ui/ConflictNote.vue'
import { t } from '../i18n'
import { differences, fieldNames } from './ruleLists'
import { isOfItems, moved, nameOfRule, type RuleValues, valuesOf } from './rules'
import { lastEditor, type Rules, rulesNow } from './store'

/** A change that could not be made because somebody else was faster: what they did, and how to make it all the same. */
interface Clash {
  theirs: string[]
  mine: string
  culprit: Culprit | null
  again: () => Promise<unknown>
}

type Facts = { changed: boolean; rev: number } & Parameters<ReturnType<typeof useChanges>['undoing']>[0]

/** `removed` gets the deleted rules, `refused` a rule with what was typed in its row and could not be stored. */
export function useRuleChanges(
  account: () => Account,
  store: Rules,
  { removed, refused }: { removed: (ids: string[]) => void; refused: (rule: Rule, typed: RuleValues) => void },
) {
  const changes = useChanges()
  const toasts = useToasts()
  const all = computed(() => store.rules.value ?? [])
  const ofKind = (items: boolean): Rule[] => all.value.filter((rule) => isOfItems(rule) === items)
  const find = (id: string): Rule | undefined => all.value.find((rule) => rule.id === id)

  const clash = shallowRef<Clash | null>(null)
  const clashing = ref(false)

  /** Make a change and say what was done; when others changed the same, ask; else say why it was refused. */
  async function attempt(
    what: () => Promise<Facts>,
    done: string,
    mine: string,
    again: () => Promise<unknown>,
  ): Promise<boolean> {
    const before = all.value
    try {
      toasts.done(done, changes.undoing(await what()))
      return true
    } catch (error) {
      const now = rulesNow(error)
      if (now) {
        const culprit = await lastEditor(account().id)
        clash.value = { theirs: differences(before, now), mine, culprit, again }
        clashing.value = true
      } else if (error instanceof Refusal && error.code === 'unknown_rule') toasts.refused(t('rules.changedBySomebody'))
      else toasts.refused(t('change.refused', { id: account().id, why: why(error) }))
      return false
    }
  }

  /** Move a rule to a place among its kind; when that is tried again, behind the rule that it was to follow. */
  async function move(id: string, place: number): Promise<void> {
    const rule = find(id)
    if (!rule) {
      toasts.refused(t('rules.changedBySomebody'))
      return
    }
    const others = ofKind(isOfItems(rule)).filter((one) => one.id !== id)
    const leader = others[place - 1]?.id
    const to = moved(all.value, id, place)
    const word = nameOfRule(rule)
    const priority = to.priorities[id]
    await attempt(
      () => store.order(to),
      priority === undefined
        ? t('rules.done.moved', { word, place: place + 1 })
        : t('rules.done.movedPriority', { word, place: place + 1, priority }),
      t('ruleLists.mine.move', { word, place: place + 1 }),
      () => {
        const left = ofKind(isOfItems(rule)).filter((one) => one.id !== id)
        const behind = left.findIndex((one) => one.id === leader)
        return move(id, behind < 0 ? Math.min(place, left.length) : behind + 1)
      },
    )
  }

  const patch = (rule: Rule, values: Partial<RuleValues>): Promise<boolean> =>
    attempt(
      () => store.patch(rule.id, values),
      t('rules.done.changed', { word: nameOfRule({ ...rule, ...values }) }),
      t('ruleLists.mine.patch', {
        word: nameOfRule(rule),
        fields: fieldNames(Object.keys(values) as (keyof RuleValues)[]),
      }),
      () => patch(rule, values),
    )
  async function type(rule: Rule, values: Partial<RuleValues>): Promise<void> {
    const isDone = await patch(rule, values)
    if (!isDone && !clashing.value && find(rule.id)) refused(rule, { ...valuesOf(rule), ...values })
  }
  const setWords = (rule: Rule, text: string): void => {
    const list = text.split('\n').filter((word) => word.trim())
    if (!list.length) return
    void type(rule, { words: rule.match_mode === 'regex' ? list : list.map((word) => word.trim()) })
  }
  const setReply = (rule: Rule, text: string): void => void type(rule, { parts: [{ text, image_url: '' }] })
  const still = (list: Rule[]): Rule[] => list.filter((rule) => find(rule.id))
  async function setActive(list: Rule[], active: boolean): Promise<void> {
    if (!list.length) return
    const n = count(list.length)
    await attempt(
      () =>
        store.setActive(
          list.map((rule) => rule.id),
          active,
        ),
      t(active ? 'rules.done.switchedOn' : 'rules.done.switchedOff', { n }),
      t(active ? 'ruleLists.mine.on' : 'ruleLists.mine.off', { n }),
      () => setActive(still(list), active),
    )
  }

  async function remove(list: Rule[]): Promise<void> {
    const [first] = list
    if (!first) return
    const n = count(list.length)
    const done =
      list.length === 1 ? t('rules.done.removed', { word: nameOfRule(first) }) : t('rules.done.removedMany', { n })
    const ids = list.map((rule) => rule.id)
    const isDone = await attempt(
      () => store.remove(ids),
      done,
      t('ruleLists.mine.remove', { n }),
      () => remove(still(list)),
    )
    if (isDone) removed(ids)
  }

  return { clash, clashing, move, patch, setWords, setReply, setActive, remove }
}
