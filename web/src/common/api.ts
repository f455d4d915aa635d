/** Asking the server: one function, one kind of refusal, and changes that are repeated safely. */

import { languageTag, t } from '../i18n'
import { afterHeader, noteChange } from './after'
import type { components } from './schema'
import { answered, keepOpen, type Packed, printOf, unanswered } from './unanswered'

type Shapes = components['schemas']
export type Account = Shapes['AccountBody']
export type AccountState = Shapes['AccountState']
/** What stands in every answer to a change. */
export type ChangeFacts = Pick<Shapes['MsgAnswer'], 'changed' | 'generation' | 'rev' | 'state' | 'op_id'>
export type BatchRow = Shapes['BatchRow']
export type EditedRow = Shapes['EditedRow']
export type SharedSettings = Partial<Shapes['SharedSettingsBody']>
export type ShareRow = Shapes['ShareRow']
export type InvitedShop = Shapes['InvitedShopShape']
export type ColleagueRow = Shapes['ColleagueShape']
export type HistoryRow = Shapes['AccountHistoryRow']
export type Message = Shapes['MessageShape']
export type Chat = Shapes['ChatShape']
export type Sending = Shapes['SendingRow']
export type Sent = Shapes['Sending']
export type Outcome = Shapes['SendOutcome']
export type Pause = Shapes['PauseShape']
export type Span = Shapes['ActivitySpan']
export type Timeline = Shapes['Timeline']
export type Stretch = Shapes['StretchShape']
export type Diagnosis = Shapes['Diagnosis']
export type Check = Shapes['CheckShape']
export type Order = Shapes['OrderShape']
export type OrderStatus = Shapes['OrderStatusShape']
export type FullOrder = Shapes['FullOrder']
export type OrderDelivery = Shapes['OrderDeliveryShape']
export type OrderUnit = Shapes['OrderUnitShape']
export type OrderAct = Shapes['ActionShape']
export type Act = Shapes['Action']
export type OrderLine = Shapes['LineShape']
export type Goods = Shapes['GoodsShape']
export type Supplier = Shapes['SupplierShape']
export type SupplierTried = Shapes['SupplierTried']
export type Unit = Shapes['UnitShape']
export type RevealedUnit = Shapes['RevealedUnit']
export type GivenBackUnits = Shapes['GivenBackUnits']
export type UnitPage = Shapes['UnitList']
export type Batch = Shapes['BatchShape']
export type Imported = Shapes['ImportAnswer']
export type StockLine = Shapes['HistoryShape']
export type WaitingList = Shapes['WaitingList']
export type WaitingOrder = Shapes['WaitingOrderShape']
export type ServedWaiting = Shapes['ServedWaiting']
export type Item = Shapes['ItemShape']
export type DeliveryRule = Shapes['DeliveryRuleShape']
export type DeliveryList = Shapes['DeliveryList']
export type DeliveriesReplaced = Shapes['DeliveriesReplaced']
export type DeliveryCheck = Shapes['DeliveryCheck']
export type CheckedItem = Shapes['CheckedItem']
export type TriedPurchase = Shapes['TriedPurchase']
export type Settings = Shapes['DesiredBody']
export type QrLogin = Shapes['QrLoginAnswer']
export type ProxyFinding = Shapes['ProxyFinding']
export type Rule = Shapes['RuleShape']
export type RuleSpan = Shapes['SpanShape']
export type RulePart = Shapes['PartShape']
export type RuleWarning = Shapes['WarningShape']
export type RulesReplaced = Shapes['RulesReplaced']
export type Tried = Shapes['Tried']
export type SystemStatus = Shapes['SystemStatus']
export type Locks = Shapes['LocksAnswer']
export type AuditEntryShape = Shapes['AuditEntryShape']
export type Me = Shapes['MeAnswer']
export type SignIn = Shapes['SessionShape']
export type UserRow = Shapes['UserBody']
export type Role = Shapes['Role']
export type Invitation = Shapes['InvitationShape']
export type NewLink = Shapes['NewLinkAnswer']
export type Link = Shapes['LinkAnswer']
export type Seed = Shapes['SeedAnswer']
export type ApiToken = Shapes['TokenShape']
export type UserToken = Shapes['UserTokenShape']
export type NewToken = Shapes['NewTokenAnswer']
export type Removal = Shapes['RemovalAnswer']
export type RemovedAccount = Shapes['RemovedAnswer']
export type Colleague = Shapes['StaffShape']
export type SellerNumber = Shapes['NumberShape']
export type Channel = Shapes['ListedChannel']
export type NoticeService = Shapes['ServiceShape']
export type Subscription = Shapes['SubscriptionShape']
export type TestAnswer = Shapes['TestAnswer']
export type Incident = Shapes['IncidentShape']
export type NoticeRow = Shapes['NoticeShape']
export type Webhook = Shapes['WebhookShape']
export type WebhookMade = Shapes['WebhookMade']
export type WebhookTested = Shapes['WebhookTested']
export type Attempt = Shapes['AttemptShape']
export type ImportPlan = Shapes['ImportPlan']
export type ImportRow = Shapes['ImportRow']
export type ImportRun = Shapes['ImportRun']
export type StartedAll = Shapes['StartedAll']
export type Backups = Shapes['BackupsShape']
export type Nodes = Shapes['NodesShape']

/** A page of a list. */
export interface Page<T> {
  items: T[]
  next: string | null
}

/** The server refused, or did not answer. `message` is a sentence for a user. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly params: Record<string, unknown> = {},
    readonly current?: unknown,
    readonly etag = '',
  ) {
    super(message)
  }

  /** The field of the body that is refused, where it is one. */
  get field(): string {
    return typeof this.params.field === 'string' ? this.params.field : ''
  }
}

/** An answer and the version that it shows. */
export interface Tagged<T> {
  body: T
  etag: string
}

export interface Asking {
  /** Sent as JSON, but a form is sent as a form. */
  body?: unknown
  query?: Record<string, string | number | boolean | undefined>
  ifMatch?: string
  signal?: AbortSignal
  /** Sent even while the page is being closed. */
  keepalive?: boolean
}

const REPEATS_MS = [400, 1200, 3000]
/** Codes of a failed sign-in, when no session can have ended. */
const AT_SIGN_IN = new Set(['wrong_login', 'totp_needed', 'wrong_totp'])
/** Codes of an answer after which the same request is made once more. */
const OPEN = new Set(['outcome_unknown', 'node_behind'])
const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** Called when the server answers that the session has ended. */
export const onSignedOut: { run: () => void } = { run: () => {} }

/** A path whose parts may hold anything. */
export function path(...parts: string[]): string {
  return `/${parts.map(encodeURIComponent).join('/')}`
}

/**
 * Ask for a path; throws `Refusal`.
 *
 * A change carries an `Idempotency-Key`. When no answer comes, or the outcome is unknown, it is repeated under the same
 * key, so that it is made once. The same change that is asked for again later, by who read that no answer came, goes
 * under that key too; one that sets what it sets without `ifMatch` needs none, for it may be made twice.
 */
export async function call<T>(method: string, where: string, asking: Asking = {}): Promise<T> {
  return (await tagged<T>(method, where, asking)).body
}

/** The same, with the ETag of the answer. */
export async function tagged<T>(method: string, where: string, asking: Asking = {}): Promise<Tagged<T>> {
  const isChange = CHANGING.has(method)
  const print = method === 'POST' || asking.ifMatch ? printOf(method, where, asking) : ''
  const before = print ? unanswered(print) : undefined
  const { key, packed } = before ?? { key: isChange ? newKey() : '', packed: await pack(asking.body) }
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await once<T>(method, where, asking, packed, key)
      if (isChange) answered(where)
      return answer
    } catch (error) {
      const wait = REPEATS_MS[attempt]
      if (!isOpen(error) && isChange) answered(where)
      if (isOpen(error) && print) keepOpen(print, where, { key, packed })
      if (wait === undefined || !isOpen(error) || asking.signal?.aborted) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
}

function isOpen(error: unknown): boolean {
  return error instanceof Refusal && (error.status === 0 || OPEN.has(error.code))
}

/** The body as it is sent. A form is packed once: each packing has a boundary of its own, and a repeat must be alike. */
async function pack(body: unknown): Promise<Packed> {
  if (body === undefined) return { bytes: null }
  if (!(body instanceof FormData)) return { bytes: JSON.stringify(body), type: 'application/json' }
  const form = new Response(body)
  const type = form.headers.get('Content-Type') ?? ''
  return { bytes: await form.arrayBuffer(), type }
}

async function once<T>(method: string, where: string, asking: Asking, packed: Packed, key: string): Promise<Tagged<T>> {
  const headers: Record<string, string> = { Accept: 'application/json', ...languageHeader(), ...afterHeader() }
  if (packed.type) headers['Content-Type'] = packed.type
  if (key) headers['Idempotency-Key'] = key
  if (asking.ifMatch) headers['If-Match'] = asking.ifMatch
  let response: Response
  try {
    response = await fetch(withQuery(where, asking.query), {
      method,
      headers,
      body: packed.bytes,
      signal: asking.signal ?? null,
      credentials: 'same-origin',
      keepalive: asking.keepalive ?? false,
    })
  } catch (error) {
    if (asking.signal?.aborted) throw error
    throw new Refusal(0, 'network', t(key ? 'errors.unanswered' : 'errors.network'))
  }
  const body: unknown = await response.json().catch(() => null)
  if (response.ok && key) noteChange(body)
  if (response.ok && isShownBefore(body)) throw new Refusal(response.status, 'answer_lost', t('errors.shownBefore'))
  if (response.ok) return { body: body as T, etag: response.headers.get('ETag') ?? '' }
  throw refusal(response, body)
}

/** Whether an answer that got lost had the secret that is empty in this one. */
function isShownBefore(body: unknown): boolean {
  return (body as { already_shown?: boolean } | null)?.already_shown === true
}

/** The language that is read here, as a header. */
export const languageHeader = (): Record<string, string> => ({ 'Accept-Language': languageTag.value })

/** The refusal in a response. */
export const refusalOf = async (response: Response): Promise<Refusal> =>
  refusal(response, await response.json().catch(() => null))

function refusal(response: Response, body: unknown): Refusal {
  const problem = (body ?? {}) as Partial<{
    detail: string
    code: string
    params: Record<string, unknown>
    current: unknown
  }>
  const code = problem.code ?? ''
  if (response.status === 401 && !AT_SIGN_IN.has(code)) onSignedOut.run()
  const detail = problem.detail ?? t('errors.unexpected', { status: response.status })
  return new Refusal(
    response.status,
    code,
    detail,
    problem.params ?? {},
    problem.current,
    response.headers.get('ETag') ?? '',
  )
}

function withQuery(where: string, query: Asking['query']): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) search.set(name, String(value))
  }
  return search.size ? `${where}?${search}` : where
}

/** 128 random bits. `crypto.randomUUID` is missing where TLS is. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The sentence of whatever was thrown. */
export function why(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
