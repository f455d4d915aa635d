/** Whether the server has a newer console than this tab, and what part of a page could not be loaded. */
import { defineStore } from 'pinia'
import { ref } from 'vue'

/** `newer`: the server was upgraded. `blocked`: so it was, and the page that was asked for is gone. `failed`: a page
 * could not be loaded, for another reason. */
export type Notice = '' | 'newer' | 'blocked' | 'failed'

const PAGE = '/console/'
const OUR_SCRIPT = document.querySelector<HTMLScriptElement>('script[type=module][src]')?.src ?? ''

/** Whether the server hands out another console; throws when it does not answer. */
async function isNewer(): Promise<boolean> {
  const response = await fetch(PAGE, {
    cache: 'no-cache',
    headers: { Accept: 'text/html' },
    credentials: 'same-origin',
  })
  if (!response.ok) throw new Error(String(response.status))
  const name = OUR_SCRIPT && new URL(OUR_SCRIPT).pathname
  return !(await response.text()).includes(name)
}

export const useVersion = defineStore('version', () => {
  const notice = ref<Notice>('')
  const busy = ref(false)
  /** Where the user wanted to go. */
  let goal = ''

  /** Part of a page did not come: find out why, and say so. A page that is asked for once more is loaded again, since
   * browsers remember that its part failed, and do not ask again. */
  async function lost(to = ''): Promise<void> {
    if (to) goal = to
    if (to && notice.value === 'failed') return reload()
    notice.value = (await isNewer().catch(() => false)) ? 'blocked' : 'failed'
  }

  /** The line to the server is back: perhaps it is another server. */
  async function look(): Promise<void> {
    const newer = await isNewer().catch(() => null)
    if (newer && notice.value !== 'blocked') notice.value = notice.value ? 'blocked' : 'newer'
    if (newer === false) dismiss()
  }

  /** Load the page again, where the user wanted to go. Nothing is left before the server answers. */
  async function reload(): Promise<void> {
    busy.value = true
    try {
      await isNewer()
      if (goal) location.assign(goal)
      else location.reload()
    } catch {
      notice.value = 'failed'
    } finally {
      busy.value = false
    }
  }

  function dismiss(): void {
    notice.value = ''
    goal = ''
  }

  return { notice, busy, lost, look, reload, dismiss }
})
