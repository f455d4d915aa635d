/** The pictures that wait in each chat to be sent. They last as long as the page, each for the user who chose it. */
import { reactive } from 'vue'
import { why } from '../common/api'
import { opened } from '../common/unsaved'
import { t } from '../i18n'
import { writer } from './drafts'
import { MOST_PICTURES, objection, type Picked } from './picked'
import { previewOf, upload } from './upload'

const waiting = reactive(new Map<string, Picked[]>())
const stops = new Map<number, AbortController>()
let keys = 0

const chatKey = (account: string, chat: string): string => `${writer()}/${account}/${chat}`

export const picturesOf = (account: string, chat: string): readonly Picked[] =>
  waiting.get(chatKey(account, chat)) ?? []

/** Other pages of the console keep them; the browser asks before it leaves the console. */
const left = { isDirty: () => [...waiting.keys()].some((key) => key.startsWith(`${writer()}/`)), mayLeave: () => true }
let forget = (): void => {}

function put(key: string, pictures: Picked[]): void {
  if (pictures.length) waiting.set(key, pictures)
  else waiting.delete(key)
  forget()
  if (waiting.size) forget = opened(left)
}

/** Take files into a chat, in their order, and begin to upload them; answers with why some were not taken. */
export function addPictures(account: string, chat: string, files: readonly File[]): string {
  const key = chatKey(account, chat)
  const refused: string[] = []
  for (const file of files) {
    const objected = objection(file)
    if (objected) refused.push(t(`desk.refused.${objected}`, { name: file.name }))
    else if (picturesOf(account, chat).length >= MOST_PICTURES) {
      refused.push(t('desk.refused.many', { n: MOST_PICTURES }))
      break
    } else {
      const one = reactive<Picked>({ key: ++keys, name: file.name, preview: '', share: 0, url: '', problem: '' })
      put(key, [...picturesOf(account, chat), one])
      void arrive(one, file)
    }
  }
  return refused.join(' ')
}

async function arrive(one: Picked, file: File): Promise<void> {
  const stop = new AbortController()
  stops.set(one.key, stop)
  void previewOf(file).then((preview) => {
    one.preview = preview
  })
  try {
    one.url = await upload(
      file,
      (share) => {
        one.share = share
      },
      stop.signal,
    )
  } catch (error) {
    if (!stop.signal.aborted) one.problem = why(error)
  } finally {
    stops.delete(one.key)
  }
}

/** Take a picture out of a chat, also while it is on its way. */
export function dropPicture(account: string, chat: string, key: number): void {
  stops.get(key)?.abort()
  put(
    chatKey(account, chat),
    picturesOf(account, chat).filter((one) => one.key !== key),
  )
}

/** Take all pictures out of a chat, to send them; answers with them in their order. */
export function takePictures(account: string, chat: string): Picked[] {
  const taken = [...picturesOf(account, chat)]
  put(chatKey(account, chat), [])
  return taken
}

/** Put back what was not sent, before what was chosen since. */
export function giveBackPictures(account: string, chat: string, pictures: readonly Picked[]): void {
  put(chatKey(account, chat), [...pictures, ...picturesOf(account, chat)])
}
