/** This browser as a channel: subscribed at its maker's push service, and renewed when the browser changes that. */
import { call, path, Refusal } from '../common/api'
import type { components } from '../common/schema'

export type Channel = components['schemas']['ChannelShape']

const WORKER = '/console/push-worker.js'
const SCOPE = '/console/'
const KEPT = 'shoal.push'

/** Why this browser cannot be notified. `home`: an iPhone takes pushes only of what is on its home screen. */
export type Obstacle = '' | 'insecure' | 'home' | 'unsupported' | 'denied'

/** Which channel this browser is, of whom, and the end of the address of its pushes, by which a new one is noticed. */
interface Kept {
  user: number
  channel: number
  end: string
}

export function obstacle(): Obstacle {
  if (!window.isSecureContext) return 'insecure'
  const able = 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window
  if (!able) return /iPhone|iPad/.test(navigator.userAgent) ? 'home' : 'unsupported'
  return Notification.permission === 'denied' ? 'denied' : ''
}

function kept(user: number): Kept | null {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Kept | null
    return found?.user === user ? found : null
  } catch {
    return null
  }
}

const keep = (mine: Kept): void => localStorage.setItem(KEPT, JSON.stringify(mine))
const endOf = (subscription: PushSubscription): string => subscription.endpoint.slice(-16)

/** The worker that shows notices, registered at need. It takes no request of a page. */
export async function worker(): Promise<ServiceWorkerRegistration> {
  await navigator.serviceWorker.register(WORKER, { scope: SCOPE, updateViaCache: 'none' })
  return navigator.serviceWorker.ready
}

/** Ask the person, if they were not asked yet. It must be called while a click is handled. */
export async function mayNotify(): Promise<boolean> {
  return (await Notification.requestPermission()) === 'granted'
}

const base64url = (bytes: ArrayBuffer | null): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes ?? new ArrayBuffer(0))))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')

const bytesOf = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))

/** Subscribe, or find the subscription that is there. `fresh`: another user of this browser may have made that one. */
async function subscribed(fresh: boolean): Promise<PushSubscription> {
  const { pushManager } = await worker()
  const { key } = await call<{ key: string }>('GET', '/push/key')
  const found = await pushManager.getSubscription()
  if (found && !fresh && base64url(found.options.applicationServerKey) === key) return found
  await found?.unsubscribe()
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytesOf(key) })
}

function fieldsOf(subscription: PushSubscription): Record<string, string> {
  const { endpoint, keys } = subscription.toJSON()
  return { endpoint: endpoint ?? '', p256dh: keys?.p256dh ?? '', auth: keys?.auth ?? '', site: location.origin }
}

const isGone = (error: unknown): boolean => error instanceof Refusal && error.status === 404

/** The channel that this browser is, or `null`. */
export async function ownChannel(user: number): Promise<Channel | null> {
  const mine = kept(user)
  if (!mine) return null
  try {
    return await call<Channel>('GET', path('channels', String(mine.channel)))
  } catch (error) {
    if (!isGone(error)) throw error
    localStorage.removeItem(KEPT)
    return null
  }
}

async function renewed(mine: Kept, subscription: PushSubscription): Promise<Channel> {
  const body = { fields: fieldsOf(subscription), active: true }
  const channel = await call<Channel>('PATCH', path('channels', String(mine.channel)), { body })
  keep({ ...mine, end: endOf(subscription) })
  return channel
}

/** Make this browser a channel. The person has allowed it. */
export async function turnOn(user: number, name: string, language: string): Promise<Channel> {
  const subscription = await subscribed(true)
  const mine = kept(user)
  if (mine) {
    try {
      return await renewed(mine, subscription)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }
  const body = { name, service: 'webpush', fields: fieldsOf(subscription), language }
  const channel = await call<Channel>('POST', '/channels', { body })
  keep({ user, channel: channel.id, end: endOf(subscription) })
  return channel
}

/** Be a channel no more. */
export async function turnOff(user: number): Promise<void> {
  const mine = kept(user)
  if (!mine) return
  try {
    await call('DELETE', path('channels', String(mine.channel)))
  } catch (error) {
    if (!isGone(error)) throw error
  }
  localStorage.removeItem(KEPT)
  await (await (await worker()).pushManager.getSubscription())?.unsubscribe()
}

/** At the start of a page: report to the server when the browser, or the server's key, has changed since. */
export async function renewPush(user: number): Promise<void> {
  const mine = kept(user)
  if (!mine || obstacle() || Notification.permission !== 'granted') return
  const subscription = await subscribed(false)
  if (endOf(subscription) !== mine.end) await renewed(mine, subscription)
}

/** A notice that was touched leads to its page in this window. */
export function followNotices(go: (page: string) => void): void {
  navigator.serviceWorker?.addEventListener('message', ({ data }: MessageEvent<{ type?: string; page?: string }>) => {
    if (data?.type === 'open' && data.page?.startsWith(SCOPE)) go(data.page.slice(SCOPE.length - 1))
  })
}

/** What people know this browser by. */
export function browserName(agent = navigator.userAgent): string {
  const browser = /(Edg|OPR|SamsungBrowser|Firefox|Chrome|Safari)[A-Za-z]*\//.exec(agent)?.[1]
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1]
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', SamsungBrowser: 'Samsung', 'Mac OS X': 'macOS' }
  return [browser, system].flatMap((name) => (name ? [names[name] ?? name] : [])).join(' · ') || 'Shoal'
}
