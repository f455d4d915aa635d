/** The console as an app of its own: whether this browser can install it, and how. */
import { computed, ref, shallowRef } from 'vue'

/** What Chromium asks with; other browsers do not know it. */
interface InstallOffer extends Event {
  prompt(): Promise<unknown>
}

/** `offered`: the browser asks by itself. `ios`, `menu`: its owner does it in a menu. `insecure`: over plain HTTP no browser does. */
export type InstallWay = 'installed' | 'offered' | 'insecure' | 'ios' | 'menu'

const offer = shallowRef<InstallOffer>()
const installed = ref(
  window.matchMedia('(display-mode: standalone)').matches ||
    (navigator as { standalone?: boolean }).standalone === true,
)

window.addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault()
  offer.value = event as InstallOffer
})
window.addEventListener('appinstalled', () => {
  offer.value = undefined
  installed.value = true
})

/** An iPad calls itself a Mac, but is touched at several places at once. */
const isIos =
  /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1)

export const installWay = computed<InstallWay>(() => {
  if (installed.value) return 'installed'
  if (!window.isSecureContext) return 'insecure'
  if (offer.value) return 'offered'
  return isIos ? 'ios' : 'menu'
})

/** Let the browser ask. It lets us ask only once. */
export async function install(): Promise<void> {
  const asking = offer.value
  offer.value = undefined
  await asking?.prompt()
}
