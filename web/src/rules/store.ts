/** The rules of one shop: as the server has them, changed at once here, and put back when it refuses. */
import { onMounted, shallowRef, watch } from 'vue'
import { useUndos } from '../accounts/undos'
import {
  type Account,
  type ChangeFacts,
  call,
  type HistoryRow,
  type Page,
  path,
  Refusal,
  type Rule,
  type RulesReplaced,
  type RuleWarning,
  tagged,
} from '../common/api'
import { actorName } from '../common/describe'
import { same } from '../common/drafts'
import { useLive } from '../common/liveData'
import { languageTag } from '../i18n'
import { isOfItems, type Move, type RuleValues, sameRules, valuesOf, type WantedRule } from './rules'

type RuleList = Page<Rule> & { warnings: RuleWarning[] }

const PAGE = 1_000
const HITS_MS = 3_000
const SOON_MS = 60
const MOST_TRIES = 3

export const ruleEtag = (generation: number): string => `"g${generation}"`

/** Every rule of an account, its warnings, and the version of all that. */
export async function readRules(id: string): Promise<{ rules: Rule[]; warnings: RuleWarning[]; etag: string }> {
  for (;;) {
    const rules: Rule[] = []
    const warnings: RuleWarning[] = []
    let etag = ''
    let cursor: string | undefined
    let whole = true
    do {
      const query = { limit: PAGE, cursor }
      const page = await tagged<RuleList>('GET', path('cookies', id, 'rules'), { query })
      whole = etag === '' || etag === page.etag
      etag = page.etag
      rules.push(...page.body.items)
      warnings.push(...page.body.warnings)
      cursor = page.body.next ?? undefined
    } while (cursor && whole)
    if (whole) return { rules, warnings, etag } // else somebody changed something between two pages
  }
}

/** The user who changed the rules of an account last; empty when unknown. */
export async function lastEditor(id: string): Promise<{ actor: string; at: string } | null> {
  try {
    const { items } = await call<Page<HistoryRow>>('GET', path('cookies', id, 'history'), { query: { limit: 20 } })
    const row = items.find((one) => 'keywords' in one.changes)
    return row ? { actor: actorName(row.actor), at: row.at } : null
  } catch {
    return null
  }
}

/** The rules as the body of a 412 has them. */
export function rulesNow(error: unknown): Rule[] | null {
  if (!(error instanceof Refusal) || error.status !== 412) return null
  return (error.current as { items?: Rule[] } | undefined)?.items ?? null
}

export function useRules(account: () => Account) {
  const rules = shallowRef<Rule[] | null>(null)
  const warnings = shallowRef<RuleWarning[]>([])
  const id = (): string => account().id
  const { takenBack } = useUndos()
  /** What the server has, as far as is known, and its version. */
  let confirmed: Rule[] = []
  let etag = ''
  let pending = 0
  let turn: Promise<unknown> = Promise.resolve()
  /** How many undos of this page are in what was read. */
  let undos = takenBack().times

  const { problem, load, soon } = useLive(
    () => readRules(id()),
    (found) => {
      if (pending) return // the end of a change brings it
      confirmed = found.rules
      etag = found.etag
      rules.value = found.rules
      warnings.value = found.warnings
    },
    { mine: (event) => event.type === 'decision' && event.account === id(), after: HITS_MS },
  )

  /**
   * Show a change, then make it; when it is refused, show what is.
   *
   * Changes of one page are made one after the other. If the account has another version than was read, and the part
   * that the change is about is `untouched`, it is made on top of that.
   */
  async function change<T extends ChangeFacts>(
    shown: (rules: Rule[]) => Rule[],
    send: (ifMatch: string) => Promise<T>,
    untouched: (before: Rule[], now: Rule[]) => boolean,
  ): Promise<T> {
    pending += 1
    rules.value = shown(rules.value ?? [])
    const result = turn.then(caughtUp).then(() => make(shown, send, untouched))
    turn = result.catch(() => undefined)
    try {
      return await result
    } finally {
      pending -= 1
      if (!pending) {
        rules.value = confirmed
        soon(0)
      }
    }
  }

  /** Read what an undo of this page made of the rules: else the next change would meet it as one of somebody else. */
  async function caughtUp(): Promise<void> {
    const { times, end } = takenBack()
    if (times === undos) return
    await end
    const found = await readRules(id())
    undos = times
    confirmed = found.rules
    etag = found.etag
    warnings.value = found.warnings
  }

  async function make<T extends ChangeFacts>(
    shown: (rules: Rule[]) => Rule[],
    send: (ifMatch: string) => Promise<T>,
    untouched: (before: Rule[], now: Rule[]) => boolean,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        const facts = await send(etag)
        confirmed = shown(confirmed)
        etag = ruleEtag(facts.generation)
        return facts
      } catch (error) {
        const now = rulesNow(error)
        if (!now) throw error
        const fits = untouched(confirmed, now)
        const hits = new Map(confirmed.map((rule) => [rule.id, rule]))
        confirmed = now.map((rule) => ({
          ...rule,
          hits: hits.get(rule.id)?.hits ?? 0,
          last_hit_at: hits.get(rule.id)?.last_hit_at ?? null,
        }))
        etag = (error as Refusal).etag
        if (!fits || tries === MOST_TRIES) throw error
      }
    }
  }

  const where = (...rest: string[]): string => path('cookies', id(), 'rules', ...rest)
  const find = (list: Rule[], rule: string): Rule | undefined => list.find((one) => one.id === rule)
  const sameRule = (rule: string) => (before: Rule[], now: Rule[]) => {
    const [was, is] = [find(before, rule), find(now, rule)]
    return was !== undefined && is !== undefined && same(valuesOf(was), valuesOf(is))
  }

  /** Change fields of one rule. */
  function patch(rule: string, changes: Partial<RuleValues>): Promise<ChangeFacts> {
    return change(
      (list) => list.map((one) => (one.id === rule ? { ...one, ...changes } : one)),
      (ifMatch) => call('PATCH', where(rule), { body: changes, ifMatch }),
      sameRule(rule),
    )
  }

  function add(values: RuleValues): Promise<ChangeFacts & { rule: Rule | null }> {
    return change(
      (list) => list,
      () => call('POST', where(), { body: values }),
      () => true,
    )
  }

  function remove(gone: string[]): Promise<ChangeFacts> {
    const left = (list: Rule[]): Rule[] => list.filter((one) => !gone.includes(one.id))
    const [only] = gone
    if (gone.length === 1 && only !== undefined)
      return change(left, (ifMatch) => call('DELETE', where(only), { ifMatch }), sameRule(only))
    return change(left, (ifMatch) => put(left(confirmed), ifMatch), sameRules)
  }

  function setActive(which: string[], active: boolean): Promise<ChangeFacts> {
    const set = (list: Rule[]): Rule[] => list.map((one) => (which.includes(one.id) ? { ...one, active } : one))
    const [only] = which
    if (which.length === 1 && only !== undefined) return patch(only, { active })
    return change(set, (ifMatch) => put(set(confirmed), ifMatch), sameRules)
  }

  const put = (wanted: WantedRule[], ifMatch: string): Promise<RulesReplaced> =>
    call('PUT', where(), { body: { rules: wanted }, ifMatch })

  function order({ rules: placed, ids, priorities }: Move): Promise<ChangeFacts> {
    return change(
      () => placed,
      (ifMatch) => call('PUT', where('order'), { body: { ids, priorities }, ifMatch }),
      (before, now) => same(before.map(placeOf), now.map(placeOf)),
    )
  }
  const placeOf = (rule: Rule): unknown[] => [rule.id, rule.priority, isOfItems(rule)]

  onMounted(load)
  watch(
    () => account().generation,
    (generation) => {
      if (ruleEtag(generation) !== etag) soon(SOON_MS)
    },
  )
  watch(languageTag, load) // the warnings are sentences
  return { rules, warnings, problem, load, patch, add, remove, setActive, order }
}

export type Rules = ReturnType<typeof useRules>
