/** What stands for a person who has no picture: an initial, and a colour that is always the same for that person. */

const TONES = ['blue', 'green', 'amber', 'violet', 'grey'] as const
export type FaceTone = (typeof TONES)[number]

/** The first letter or character of a name; a question mark when there is none. */
export const initialOf = (name: string): string => [...name.trim()][0]?.toLocaleUpperCase() ?? '?'

/** The colour of a person, chosen by the id: a changed name leaves the colour as it is. */
export function toneOf(id: string): FaceTone {
  let sum = 0
  for (const letter of id) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 65_521
  return TONES[sum % TONES.length] ?? 'grey'
}
