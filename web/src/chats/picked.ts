/** Pictures that were chosen for a message: which may be sent, and in what order. */

/** What the server takes; a picture may have so many bytes. */
export const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/gif']
export const MOST_BYTES = 5 * 1024 * 1024
/** As many pictures wait in one chat. */
export const MOST_PICTURES = 9

export interface Picked {
  key: number
  name: string
  /** A small picture of it, as a `data:` address; empty until it is drawn. */
  preview: string
  /** How much of it has arrived at the server, from 0 to 1. */
  share: number
  /** Its address there; empty until it has arrived whole. */
  url: string
  /** Why it cannot be sent. */
  problem: string
}

export type Objection = 'type' | 'size' | 'empty'

/** Why a file cannot be sent as a picture; nothing when it can. */
export function objection(file: { type: string; size: number }): Objection | '' {
  if (!PICTURE_TYPES.includes(file.type)) return 'type'
  if (file.size === 0) return 'empty'
  return file.size > MOST_BYTES ? 'size' : ''
}

/** The files in what was pasted or dropped. Text that is pasted together with its own picture is text. */
export function filesIn(data: DataTransfer | null): File[] {
  if (!data || data.getData('text/plain')) return []
  return [...data.files]
}

/** Whether all of them have arrived. */
export const areReady = (pictures: readonly Picked[]): boolean => pictures.every((one) => one.url !== '')
