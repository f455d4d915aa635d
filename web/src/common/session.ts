/** Who is signed in. */
import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { call, type Me } from './api'

export interface User {
  user_id: number
  username: string
  is_admin: boolean
}

/** What the user is. Staff have no shops of their own. */
export type Role = Me['role']

const SIGNED_IN = 'shoal.signed-in'

export const useSession = defineStore('session', () => {
  const user = ref<User | null>(null)
  const expired = ref(false)
  // What the page shows before it knows: the frame of the pages, or a form.
  watch(user, (one) => (one ? localStorage.setItem(SIGNED_IN, '1') : localStorage.removeItem(SIGNED_IN)))
  const role = ref<Role>()

  /** Ask whether the browser's cookie still counts. */
  async function look(): Promise<void> {
    const found = await call<Partial<User> & { authenticated: boolean }>('GET', '/verify')
    user.value = found.authenticated
      ? { user_id: found.user_id ?? 0, username: found.username ?? '', is_admin: found.is_admin ?? false }
      : null
    await learn()
  }

  async function learn(): Promise<void> {
    role.value = undefined
    try {
      if (user.value) role.value = (await call<Me>('GET', '/me')).role
    } catch {
      // Then nothing is hidden, and the server says no where it must.
    }
  }

  async function signIn(name: string, password: string, totp?: string): Promise<void> {
    const body = { name, password, ...(totp !== undefined && { totp }) }
    user.value = await call<User>('POST', '/console/session', { body })
    expired.value = false
    await learn()
  }

  async function signOut(): Promise<void> {
    await call('DELETE', '/console/session')
    user.value = null
    expired.value = false // the live line may have learnt of the end before us
  }

  /** The session is over. The live line and each request under way may report it. */
  function lapse(): void {
    if (user.value) expired.value = true
    user.value = null
  }

  return { user, role, expired, look, signIn, signOut, lapse }
})
