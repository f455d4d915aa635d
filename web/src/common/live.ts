/** The line to the server: one WebSocket, opened again as long as the page lives, resumed where it broke. */
import type { Account } from './api'

export interface Change {
  type: 'change'
  rev: number
  account: string
  generation: number
  changes: Record<string, unknown>
  actor: string
  at: string
}

type LiveMessage =
  | { type: 'part'; accounts: Account[] }
  | { type: 'snapshot'; rev: number; accounts: Account[] }
  | { type: 'batch'; rev: number | null; accounts: Account[]; removed: string[]; changes: Change[]; talks: LiveEvent[] }
  | { type: 'reset' }
  | { type: 'beat' }

/**
 * An event of a message, a sending, a decision (which names no chat), a pause, a draft, an order, a stock, an incident
 * or the work on a chat.
 */
export interface LiveEvent {
  type: 'message' | 'sending' | 'decision' | 'pause' | 'order' | 'stock' | 'incident' | 'model' | 'chat'
  /** Empty for goods, which are of no single shop. */
  account: string
  /** Of a stock. */
  goods_id?: number
  chat?: string
  /** Of the work on a chat. */
  what?: 'work' | 'note' | 'seen' | 'snooze_ended'
  /** Of an order. */
  order_id?: string
  at: string
}

/** `full`: as many pages are open as one user may have. */
export type LineState = 'connecting' | 'live' | 'lost' | 'full'

export interface Listener {
  /** The server sent anything at all. */
  received(): void
  snapshot(accounts: Account[]): void
  batch(accounts: Account[], removed: string[], changes: Change[]): void
  events(events: LiveEvent[]): void
  state(state: LineState): void
  signedOut(): void
}

const SIGNED_OUT = 4401
const TOO_MANY = 4429
const FULL_RETRY_MS = 15_000
/** The server sends something every 5 s; after three of these the line counts as dead. */
const SILENCE_MS = 15_000
/** The same when the browser reports that its network is gone: one more message is waited for. */
const DOUBT_MS = 6_000
const FIRST_RETRY_MS = 200
const RETRY_MS = 500
const LATER_RETRY_MS = 3_000
const QUICK_RETRIES = 120

export class Line {
  private socket: WebSocket | null = null
  private rev: number | null = null
  /** What came of a long snapshot. */
  private parts: Account[] = []
  private failures = 0
  private retry = 0
  private silence = 0
  private closed = false

  constructor(private readonly listener: Listener) {
    window.addEventListener('online', this.now)
    window.addEventListener('offline', this.doubt)
    document.addEventListener('visibilitychange', this.now)
    this.open()
  }

  /** End for good. */
  close(): void {
    this.closed = true
    window.removeEventListener('online', this.now)
    window.removeEventListener('offline', this.doubt)
    document.removeEventListener('visibilitychange', this.now)
    clearTimeout(this.retry)
    clearTimeout(this.silence)
    this.socket?.close()
  }

  /** Somebody looks again, or the network is back: do not wait for the next attempt. */
  private readonly now = (): void => {
    if (this.socket || this.closed || document.hidden) return
    clearTimeout(this.retry)
    this.open()
  }

  /** The browser reports that the network is gone; a server on this very machine may be there all the same. */
  private readonly doubt = (): void => {
    if (this.socket) this.listen(DOUBT_MS)
  }

  private open(): void {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const after = this.rev === null ? '' : `?after=${this.rev}`
    const socket = new WebSocket(`${scheme}://${location.host}/console/live${after}`)
    this.socket = socket
    this.parts = []
    this.listen()
    socket.onmessage = (event: MessageEvent<string>) => {
      this.listen()
      this.listener.received()
      this.receive(JSON.parse(event.data) as LiveMessage)
    }
    socket.onclose = (event) => this.ended(socket, event.code)
  }

  private listen(silence = SILENCE_MS): void {
    clearTimeout(this.silence)
    const socket = this.socket
    this.silence = window.setTimeout(() => {
      socket?.close()
      if (socket) this.ended(socket, 0) // a dead line may take minutes to close
    }, silence)
  }

  private receive(message: LiveMessage): void {
    switch (message.type) {
      case 'part':
        this.parts.push(...message.accounts)
        break
      case 'snapshot':
        this.failures = 0
        this.rev = message.rev
        this.listener.snapshot([...this.parts, ...message.accounts])
        this.parts = []
        this.listener.state('live')
        break
      case 'batch':
        if (message.rev !== null) this.rev = message.rev
        this.listener.batch(message.accounts, message.removed, message.changes)
        if (message.talks.length) this.listener.events(message.talks)
        break
      case 'reset':
        this.rev = null
        break
      case 'beat':
        break
    }
  }

  private ended(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return
    this.socket = null
    clearTimeout(this.silence)
    if (this.closed) return
    if (code === SIGNED_OUT) {
      this.close()
      this.listener.signedOut()
      return
    }
    const full = code === TOO_MANY
    this.listener.state(full ? 'full' : 'lost')
    const soon = this.failures === 0 ? FIRST_RETRY_MS : this.failures < QUICK_RETRIES ? RETRY_MS : LATER_RETRY_MS
    this.failures += 1
    this.retry = window.setTimeout(() => this.open(), (full ? FULL_RETRY_MS : soon) * (0.75 + Math.random() / 2))
  }
}
