/** Moving in from another system: a file is looked at first, then what it holds is taken in, and turned on at the end. */
import { type ImportPlan, type ImportRun, languageHeader, onSignedOut, path, Refusal } from '../common/api'
import { t } from '../i18n'

export const FATES = ['taken', 'changed', 'skipped', 'waiting', 'known'] as const
export type Fate = (typeof FATES)[number]

export const planPath = (id: string, ...more: string[]): string => path('imports', 'plans', id, ...more)
export const runPath = (id: number, ...more: string[]): string => path('imports', String(id), ...more)

/** How many rows of all kinds become one of these. */
export const total = (counts: ImportPlan['counts'], ...fates: Fate[]): number =>
  counts.reduce((sum, one) => fates.reduce((all, fate) => all + one[fate], sum), 0)

/** What was on there, apart: what is turned on with one press, and what stays off, each with the reason. */
export const apart = (wasOn: ImportPlan['was_on']) => ({
  starting: wasOn.filter((one) => !one.stays_off),
  staying: wasOn.filter((one) => one.stays_off),
})

/** Whether the server still works on it. */
export const isUnderWay = (run: ImportRun): boolean => run.state === 'running'

export interface Options {
  /** What opens the values that the other system sealed. */
  key: string
  onlyUser: string
}

/** Send a file as it is, and return what it holds. `sent` is called with how much of it has left, from 0 to 1. */
export function look(file: File, { key, onlyUser }: Options, sent: (part: number) => void): Promise<ImportPlan> {
  const query = new URLSearchParams({ name: file.name, ...(onlyUser && { only_user: onlyUser }) })
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest() // `fetch` does not report how far a body is
    request.open('POST', `/imports/plans?${query}`)
    request.responseType = 'json'
    const headers = {
      ...languageHeader(),
      Accept: 'application/json',
      'Content-Type': 'application/octet-stream',
      ...(key && { 'X-Data-Key': key }),
    }
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total)
    request.onerror = () => reject(new Refusal(0, 'network', t('errors.network')))
    request.onload = () => {
      const body = request.response as (ImportPlan & { detail?: unknown; code?: string }) | null
      if (request.status < 300 && body) return resolve(body)
      if (request.status === 401) onSignedOut.run()
      const detail = typeof body?.detail === 'string' ? body.detail : t('errors.unexpected', { status: request.status })
      reject(new Refusal(request.status, body?.code ?? '', detail))
    }
    request.send(file)
  })
}
