/** The beginning: who is signed in, then the page; where either cannot be had, why, and another try. */
import { createPinia } from 'pinia'
import { type App, createApp, watch } from 'vue'
import { onSignedOut, why } from '../common/api'
import { useSession } from '../common/session'
import { i18n, languageTag, t } from '../i18n'
import Console from './App.vue'
import NotLoaded from './NotLoaded.vue'
import { router } from './router'
import { useVersion } from './version'
import './install'
import './style.css'
import '../common/theme'

const PLACE = '#app'
const app = createApp(Console).use(createPinia()).use(i18n)
const session = useSession()
const version = useVersion()
onSignedOut.run = session.lapse
watch(languageTag, (tag) => document.documentElement.setAttribute('lang', tag), { immediate: true })

/** What stands there while nothing else can. */
let standIn: App | null = null
let isShown = false

router.onError((_error, to) => isShown && void version.lost(router.resolve(to).href))
window.addEventListener('vite:preloadError', () => isShown && void version.lost())

function excuse(words: string, again: () => Promise<string>, patient: boolean): void {
  standIn?.unmount()
  standIn = createApp(NotLoaded, { why: words, again, patient }).use(i18n)
  standIn.mount(PLACE)
}

/** Ask who is signed in. Returns why that is not known. */
async function look(): Promise<string> {
  try {
    await session.look()
    return ''
  } catch (error) {
    return why(error)
  }
}

/** The server is there, but not a part of the page: a failed part is asked for again only by loading everything again. */
async function loadAnew(): Promise<string> {
  const words = await look()
  if (!words) location.reload()
  return words
}

async function show(): Promise<void> {
  app.use(router)
  try {
    await router.isReady()
  } catch {
    excuse(t('start.pages'), loadAnew, false)
    return
  }
  standIn?.unmount()
  app.mount(PLACE)
  isShown = true
}

async function lookAgain(): Promise<string> {
  const words = await look()
  if (!words) await show()
  return words
}

const words = await look()
if (words) excuse(words, lookAgain, true)
else await show()
