/** One edit of many shops: the preview, the result for each, and the way back. */
import {
  type AccountState,
  type BatchRow,
  call,
  type EditedRow,
  type SharedSettings,
  type ShareRow,
} from '../common/api'

export type Permission = 'read' | 'reply' | 'operate'
/** From which shop rules are copied, and what becomes of those that are there. */
export interface Copy {
  account: string
  mode: 'merge' | 'replace'
}
interface Edit {
  settings?: SharedSettings
  add_tags?: string[]
  remove_tags?: string[]
  rules?: Copy
  deliveries?: Copy
}
/** What is changed in each shop; `edit` is what the request says besides the shops. */
export type BatchEdit =
  | { kind: 'enabled'; on: boolean }
  | { kind: 'edit'; edit: Edit }
  | { kind: 'share'; username: string; permission: Permission | null }

export interface BatchLine {
  id: string
  outcome: BatchRow['outcome']
  detail: string
  state: AccountState | null
  /** What would change, by field. */
  changes?: EditedRow['changes']
  /** The change that was made, to be taken back. */
  rev?: number | null
  /** What the colleague was allowed before. */
  before?: ShareRow['before']
}

/** So many shops are sent in one request, so that one sees how far it has come. */
export const IN_ONE = 200

/** How many shops are done. */
type Progress = (done: number) => void

/** What would become of each shop. */
export const previewed = (ids: string[], edit: BatchEdit, progress?: Progress): Promise<BatchLine[]> =>
  inParts(ids, (some) => asked(some, edit, true), progress)

/** Make it so in each shop, whatever becomes of the others. */
export const carriedOut = (ids: string[], edit: BatchEdit, progress?: Progress): Promise<BatchLine[]> =>
  inParts(ids, (some) => asked(some, edit, false), progress)

async function inParts<One, Row>(
  all: One[],
  ask: (some: One[]) => Promise<Row[]>,
  progress?: Progress,
): Promise<Row[]> {
  const rows: Row[] = []
  for (let at = 0; at < all.length; at += IN_ONE) {
    rows.push(...(await ask(all.slice(at, at + IN_ONE))))
    progress?.(rows.length)
  }
  return rows
}

async function asked(ids: string[], edit: BatchEdit, dry: boolean): Promise<BatchLine[]> {
  if (edit.kind === 'enabled') return await switched(ids, edit.on, dry)
  if (edit.kind === 'share') return await shared(edit.username, ids, () => edit.permission, dry)
  const body = { ...edit.edit, accounts: ids }
  return (await call<{ results: EditedRow[] }>('PUT', '/cookies/batch', { body, query: { dry_run: dry ? 1 : 0 } }))
    .results
}

async function switched(ids: string[], on: boolean, dry: boolean): Promise<BatchLine[]> {
  const updates = Object.fromEntries(ids.map((id) => [id, on]))
  const query = { mode: 'each', dry_run: dry ? 1 : 0, wait: 0 }
  return (await call<{ results: BatchRow[] }>('PUT', '/cookies/status', { body: { updates }, query })).results
}

async function shared(
  username: string,
  ids: string[],
  permission: (id: string) => string | null,
  dry: boolean,
): Promise<BatchLine[]> {
  const shops = ids.map((account) => ({ account, permission: permission(account) }))
  const query = { dry_run: dry ? 1 : 0 }
  const { results } = await call<{ results: ShareRow[] }>('PUT', '/staff', { body: { username, shops }, query })
  return results.map((row) => ({ ...row, state: null }))
}

/** Take it back where it was made; answers with why it could not be, for each shop in which it could not. */
export async function takenBack(lines: BatchLine[], edit: BatchEdit): Promise<string[]> {
  const made = lines.filter((line) => line.outcome === 'changed')
  const back = await inParts(made, (some) => backOf(some, edit))
  return back.filter((line) => line.outcome === 'failed').map((line) => line.detail)
}

async function backOf(made: BatchLine[], edit: BatchEdit): Promise<{ outcome: string; detail: string }[]> {
  const ids = made.map((line) => line.id)
  if (edit.kind === 'enabled') return await switched(ids, !edit.on, false)
  if (edit.kind === 'share') {
    const before = new Map(made.map((line) => [line.id, line.before ?? null]))
    return await shared(edit.username, ids, (id) => before.get(id) ?? null, false)
  }
  const revs = made.flatMap((line) => line.rev ?? [])
  const query = { wait: 0 }
  return (
    await call<{ results: { outcome: string; detail: string }[] }>('POST', '/history/undo', { body: { revs }, query })
  ).results
}
