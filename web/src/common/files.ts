/** Files: those that the server gives are saved, and the rows of a sent one that cannot be used are listed. */
import { afterHeader } from './after'
import { languageHeader, Refusal, refusalOf } from './api'

/** A row of a file that cannot be used; without a column the whole row. */
export interface BadRow {
  row: number
  column: string
  detail: string
}

export interface BadRows {
  rows: BadRow[]
  /** How many there are; the server names the first ones. */
  count: number
}

/** The rows that a refusal names, if it is for rows of a file. */
export function badRowsOf(error: unknown): BadRows | null {
  if (!(error instanceof Refusal) || error.code !== 'bad_rows') return null
  const rows = (error.params.rows ?? []) as BadRow[]
  return { rows, count: Number(error.params.count ?? rows.length) }
}

/** Save what an address answers with as a file; answers with its name. */
export async function saveFile(from: string, fallback: string): Promise<string> {
  const response = await fetch(from, { headers: { ...languageHeader(), ...afterHeader() }, credentials: 'same-origin' })
  if (!response.ok) throw await refusalOf(response)
  const name = decodeURIComponent(response.headers.get('Content-Disposition')?.split("''")[1] ?? fallback)
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await response.blob())
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
  return name
}
