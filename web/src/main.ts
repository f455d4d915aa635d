/** The beginning: who is signed in, then the page. */
import { createPinia } from 'pinia'
import { createApp, watch } from 'vue'
import App from './App.vue'
import { onSignedOut } from './api'
import { i18n, languageTag } from './i18n'
import { router } from './router'
import { useSession } from './stores/session'
import './style.css'
import './theme'

const app = createApp(App).use(createPinia()).use(i18n)
const session = useSession()
onSignedOut.run = session.lapse
watch(languageTag, (tag) => document.documentElement.setAttribute('lang', tag), { immediate: true })

try {
  await session.look()
} catch {
  // The page opens all the same: signing in tells what is wrong.
}
app.use(router)
await router.isReady()
app.mount('#app')
