/** One edit of many shops: the preview and the result for each. */
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

export type BatchEdit = { kind: 'enabled' | 'auto_confirm'; on: boolean } | { kind: 'tag'; on: boolean; tag: string }

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

const isSo = (account: Account, edit: BatchEdit): boolean =>
  edit.kind === 'tag'
    ? tagged(account.desired.remark, edit.tag, edit.on) === account.desired.remark
    : account.desired[edit.kind] === edit.on

/** What would become of each shop. */
export async function previewed(ids: string[], edit: BatchEdit): Promise<BatchLine[]> {
  if (edit.kind === 'enabled') return await switched(ids, edit.on, true)
  const accounts = useAccounts()
  return ids.map((id) => {
    const account = accounts.get(id)
    if (!account) return { id, outcome: 'failed', detail: '', state: null }
    return { id, outcome: isSo(account, edit) ? 'unchanged' : 'would_change', detail: '', state: account.state }
  })
}

/** Make it so in each shop, whatever becomes of the others. */
export async function carriedOut(ids: string[], edit: BatchEdit): Promise<BatchLine[]> {
  if (edit.kind === 'enabled') return await switched(ids, edit.on, false)
  const lines: BatchLine[] = []
  const queue = ids.entries()
  const work = async (): Promise<void> => {
    for (const [at, id] of queue) lines[at] = await one(id, edit)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return lines
}

async function switched(ids: string[], on: boolean, dry: boolean): Promise<BatchLine[]> {
  const updates = Object.fromEntries(ids.map((id) => [id, on]))
  const query = { mode: 'each', dry_run: dry ? 1 : 0, wait: 0 }
  return (await call<{ results: BatchRow[] }>('PUT', '/cookies/status', { body: { updates }, query })).results
}

async function one(id: string, edit: Exclude<BatchEdit, { kind: 'enabled' }>): Promise<BatchLine> {
  const state = useAccounts().get(id)?.state ?? null
  try {
    const facts =
      edit.kind === 'tag'
        ? await tag(id, edit.tag, edit.on)
        : await call<ChangeFacts>('PUT', path('cookies', id, 'auto-confirm'), { body: { auto_confirm: edit.on } })
    if (!facts?.changed) return { id, outcome: 'unchanged', detail: '', state }
    return { id, outcome: 'changed', detail: '', state, rev: facts.rev }
  } catch (error) {
    return { id, outcome: 'failed', detail: why(error), state }
  }
}

/** A remark is changed only if it is still as shown: another user's change stays. */
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
export async function takenBack(lines: BatchLine[], edit: BatchEdit): Promise<string[]> {
  const made = lines.filter((line) => line.outcome === 'changed')
  if (edit.kind === 'enabled') {
    const back = await switched(
      made.map((line) => line.id),
      !edit.on,
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
