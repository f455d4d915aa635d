/** Who is signed in. */
import { defineStore } from 'pinia'
import { ref } from 'vue'
import { call } from '../api'

export interface Person {
  user_id: number
  username: string
  is_admin: boolean
}

export const useSession = defineStore('session', () => {
  const person = ref<Person | null>(null)
  const expired = ref(false)

  /** Ask whether the browser's cookie still counts. */
  async function look(): Promise<void> {
    const found = await call<Partial<Person> & { authenticated: boolean }>('GET', '/verify')
    person.value = found.authenticated
      ? { user_id: found.user_id ?? 0, username: found.username ?? '', is_admin: found.is_admin ?? false }
      : null
  }

  async function signIn(name: string, password: string): Promise<void> {
    person.value = await call<Person>('POST', '/console/session', { body: { name, password } })
    expired.value = false
  }

  async function signOut(): Promise<void> {
    await call('DELETE', '/console/session')
    person.value = null
  }

  /** The server says that the session is over. */
  function lapse(): void {
    expired.value = person.value !== null
    person.value = null
  }

  return { person, expired, look, signIn, signOut, lapse }
})
