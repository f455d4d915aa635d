/** The owner's own words and pictures on their way: one after the other, and back in the box when they do not arrive. */
import { computed, type Ref, ref, watch } from 'vue'
import { call, path, Refusal, type Sending, type Sent, why } from '../common/api'
import { useToasts } from '../common/toasts'
import { t } from '../i18n'
import { draftOf, forgetAside, keepDraft, setAside } from './drafts'
import type { Picked } from './picked'
import { giveBackPictures } from './pictures'

/** What is on its way and not yet in the list: words, or a picture. */
export interface Leaving {
  kind: 'leaving'
  key: string
  text: string
  picture?: Picked
}

/** What to say of a message that did not arrive for certain. */
function failure(sent: Sent): string {
  if (sent.outcome === 'refused') return t('conversations.wasRefused', { why: sent.reason })
  if (sent.outcome === 'uncertain') return t('conversations.wasUncertain')
  return sent.outcome === 'dropped' ? t('conversations.wasDropped') : ''
}

/** What the output filter holds back may be sent all the same. */
function offered(error: unknown, insist: () => void): { label: string; run: () => void } | undefined {
  const isFiltered = error instanceof Refusal && error.code === 'filtered'
  return isFiltered ? { label: t('conversations.sendAnyway'), run: insist } : undefined
}

export function useSending(
  place: () => { account: string; chat: string },
  buyer: () => string | undefined,
  sendings: Readonly<Ref<Sending[]>>,
  load: () => Promise<void>,
) {
  const toasts = useToasts()
  const leaving = ref<Leaving[]>([])
  let keys = 0
  /** The note that offers to send what the filter holds back. */
  let offer = 0

  const isHere = (account: string, chat: string): boolean => place().account === account && place().chat === chat
  const gone = (one: Leaving): void => {
    leaving.value = leaving.value.filter((other) => other.key !== one.key)
  }

  /** Put what was not sent back into the box, unless something else was written there since. */
  function putBack(account: string, chat: string, parts: readonly Leaving[]): void {
    const pictures = parts.flatMap((one) => (one.picture ? [one.picture] : []))
    if (pictures.length) giveBackPictures(account, chat, pictures)
    const text = parts.find((one) => !one.picture)?.text
    if (text && !draftOf(account, chat)) keepDraft(account, chat, text)
  }

  /**
   * Send pictures and then words, each a message of its own, each after the one before it has arrived.
   *
   * What did not leave is put back into the box, also when another chat is open by now. `anyway`: also what the output
   * filter holds back.
   */
  async function send(text: string, pictures: readonly Picked[], takeOver: boolean, anyway = false): Promise<void> {
    const { account, chat } = place()
    const to = buyer()
    toasts.dismiss(offer) // it would send the words that were written before these
    const parts: Leaving[] = [
      ...pictures.map((picture) => ({ kind: 'leaving' as const, key: `w${++keys}`, text: '', picture })),
      ...(text ? [{ kind: 'leaving' as const, key: `w${++keys}`, text }] : []),
    ]
    leaving.value = [...leaving.value, ...parts]
    if (text) setAside(account, chat)
    for (const [at, part] of parts.entries()) {
      let failed = ''
      try {
        const what = part.picture ? { image_url: part.picture.url } : { text, anyway }
        const body = { chat_id: chat, ...what, take_over: takeOver, ...(to && { to_user_id: to }) }
        failed = failure(await call<Sent>('POST', path('cookies', account, 'send'), { body }))
        if (!part.picture) forgetAside(account, chat)
        if (failed) {
          toasts.refused(failed)
          putBack(account, chat, parts.slice(at + 1))
        }
      } catch (error) {
        failed = why(error)
        putBack(account, chat, parts.slice(at))
        const insist = (): void => {
          if (!isHere(account, chat)) return // it would go to another buyer
          if (draftOf(account, chat) === text) keepDraft(account, chat, '')
          void send(text, [], takeOver, true)
        }
        offer = toasts.refused(t('conversations.notSent', { why: failed }), offered(error, insist))
      }
      if (isHere(account, chat)) await load()
      gone(part)
      if (failed) {
        for (const rest of parts.slice(at + 1)) gone(rest)
        return
      }
    }
  }

  watch(
    () => [place().account, place().chat],
    () => {
      leaving.value = []
    },
  )

  /** What is on its way. The stored row may be there already: it is not shown twice. */
  const waiting = computed(() => {
    const mine = (one: { text: string; url: string }): string => (one.url ? `p${one.url}` : `t${one.text}`)
    const open = sendings.value
      .filter((one) => one.kind === 'manual' && one.outcome === 'sending')
      .map((one) => mine({ text: one.text, url: one.image_url }))
    return leaving.value.filter((one) => {
      const at = open.indexOf(mine({ text: one.text, url: one.picture?.url ?? '' }))
      if (at >= 0) open.splice(at, 1)
      return at < 0
    })
  })

  return { waiting, send }
}
