import type { zh } from './zh'

/** The same texts in another language. */
export type Texts<T> = { [K in keyof T]: T[K] extends string ? string : Texts<T[K]> }
type Paths<T, P extends string = ''> = {
  [K in keyof T & string]: T[K] extends string ? `${P}${K}` : Paths<T[K], `${P}${K}.`>
}[keyof T & string]

/** The texts of one language. */
export type Messages = Texts<typeof zh>
/** The name of one text: a misspelt one does not compile. */
export type Key = Paths<typeof zh>
