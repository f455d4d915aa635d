/** One wish for many shops: what it would do to each, and what became of it in each. */
import {
  type Account,
  type AccountState,
  type BatchRow,
  type ChangeFacts,
  call,
  path,
  Refusal,
  why,
} from '../common/api'
import { useAccounts } from './store'
import { tagged } from './tags'

export type BatchWish = { kind: 'enabled' | 'auto_confirm'; on: boolean } | { kind: 'tag'; on: boolean; tag: string }

export interface BatchLine {
  id: string
  outcome: BatchRow['outcome']
  detail: string
  state: AccountState | null
  /** The change that was made, to be taken back. */
  rev?: number
}

/** So many shops are changed at a time, where the server has no batch of its own. */
const AT_ONCE = 6

const isSo = (account: Account, wish: BatchWish): boolean =>
  wish.kind === 'tag'
    ? tagged(account.desired.remark, wish.tag, wish.on) === account.desired.remark
    : account.desired[wish.kind] === wish.on

/** What would become of each shop. */
export async function previewed(ids: string[], wish: BatchWish): Promise<BatchLine[]> {
  if (wish.kind === 'enabled') return await switched(ids, wish.on, true)
  const accounts = useAccounts()
  return ids.map((id) => {
    const account = accounts.get(id)
    if (!account) return { id, outcome: 'failed', detail: '', state: null }
    return { id, outcome: isSo(account, wish) ? 'unchanged' : 'would_change', detail: '', state: account.state }
  })
}

/** Make it so in each shop, whatever becomes of the others. */
export async function carriedOut(ids: string[], wish: BatchWish): Promise<BatchLine[]> {
  if (wish.kind === 'enabled') return await switched(ids, wish.on, false)
  const lines: BatchLine[] = []
  const queue = ids.entries()
  const work = async (): Promise<void> => {
    for (const [at, id] of queue) lines[at] = await one(id, wish)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return lines
}

async function switched(ids: string[], on: boolean, dry: boolean): Promise<BatchLine[]> {
  const updates = Object.fromEntries(ids.map((id) => [id, on]))
  const query = { mode: 'each', dry_run: dry ? 1 : 0, wait: 0 }
  return (await call<{ results: BatchRow[] }>('PUT', '/cookies/status', { body: { updates }, query })).results
}

async function one(id: string, wish: Exclude<BatchWish, { kind: 'enabled' }>): Promise<BatchLine> {
  const state = useAccounts().get(id)?.state ?? null
  try {
    const facts =
      wish.kind === 'tag'
        ? await tag(id, wish.tag, wish.on)
        : await call<ChangeFacts>('PUT', path('cookies', id, 'auto-confirm'), { body: { auto_confirm: wish.on } })
    if (!facts?.changed) return { id, outcome: 'unchanged', detail: '', state }
    return { id, outcome: 'changed', detail: '', state, rev: facts.rev }
  } catch (error) {
    return { id, outcome: 'failed', detail: why(error), state }
  }
}

/** A remark is changed only as it was seen: what another wrote into it meanwhile stays. */
async function tag(id: string, name: string, on: boolean): Promise<ChangeFacts | null> {
  let account = useAccounts().get(id) ?? (await call<Account>('GET', path('cookies', id)))
  for (let last = false; ; last = true) {
    const remark = tagged(account.desired.remark, name, on)
    if (remark === account.desired.remark) return null
    try {
      return await call<ChangeFacts>('PATCH', path('cookies', id, 'settings'), {
        body: { remark },
        ifMatch: `"g${account.generation}"`,
        query: { wait: 0 },
      })
    } catch (error) {
      if (last || !(error instanceof Refusal) || error.status !== 412 || !error.current) throw error
      account = error.current as Account
    }
  }
}

/** Take it back where it was made; answers with why it could not be, for each shop in which it could not. */
export async function takenBack(lines: BatchLine[], wish: BatchWish): Promise<string[]> {
  const made = lines.filter((line) => line.outcome === 'changed')
  if (wish.kind === 'enabled') {
    const back = await switched(
      made.map((line) => line.id),
      !wish.on,
      false,
    )
    return back.filter((line) => line.outcome === 'failed').map((line) => line.detail)
  }
  const problems: string[] = []
  for (const { rev } of made) {
    await call('POST', `/history/${rev}/undo`, { query: { wait: 0 } }).catch((error: unknown) =>
      problems.push(why(error)),
    )
  }
  return problems
}
