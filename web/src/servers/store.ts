/** The servers that share one database, asked for again while a page shows them. */
import { defineStore } from 'pinia'
import { computed, onBeforeUnmount, onMounted, ref, shallowRef } from 'vue'
import { call, type Nodes, path, why } from '../common/api'
import { t } from '../i18n'

const RENEWED_MS = 5_000
const WHILE_MOVING_MS = 1_000

export const useServers = defineStore('servers', () => {
  const found = shallowRef<Nodes>()
  const problem = ref('')
  /** When the last answer came, in milliseconds. */
  const receivedAt = ref(0)
  let followers = 0
  let timer = 0
  let asked = 0

  /** Whether several servers share the database; a single one has no name. */
  const areSeveral = computed(() => typeof found.value?.answered_by === 'string')

  function show(answer: Nodes): void {
    found.value = answer
    receivedAt.value = Date.now()
    problem.value = ''
  }

  /** Ask now. Only the answer to the latest question is shown. */
  async function load(): Promise<void> {
    window.clearTimeout(timer)
    const turn = ++asked
    try {
      const answer = await call<Nodes>('GET', '/system/nodes')
      if (turn === asked) show(answer)
    } catch (error) {
      if (turn === asked) problem.value = t('errors.load', { why: why(error) })
    }
    if (turn === asked) plan()
  }

  /** A single server is not asked again: it becomes one of several only by another start. */
  function plan(): void {
    window.clearTimeout(timer)
    if (!followers || (found.value && !areSeveral.value)) return
    const isMoving = found.value?.items.some((node) => node.live && node.draining && node.shards > 0)
    timer = window.setTimeout(renew, isMoving ? WHILE_MOVING_MS : RENEWED_MS)
  }

  /** Ask again while somebody looks. */
  function renew(): void {
    if (document.visibilityState === 'visible') void load()
    else timer = window.setTimeout(renew, WHILE_MOVING_MS)
  }

  /** Let a server give up its shops, or take its share again. Throws `Refusal`. */
  async function drain(name: string, draining: boolean): Promise<void> {
    const answer = await call<Nodes>(draining ? 'POST' : 'DELETE', `${path('system', 'nodes', name)}/drain`)
    asked++ // an answer under way may hold what was before
    show(answer)
    plan()
  }

  /** Keep the list new while this component is shown. */
  function follow(): void {
    onMounted(() => {
      followers++
      void load()
    })
    onBeforeUnmount(() => {
      if (--followers === 0) window.clearTimeout(timer)
    })
  }

  return { found, problem, receivedAt, areSeveral, load, drain, follow }
})
