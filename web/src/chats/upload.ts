/** Sending a picture to the server, with how far it has come; `fetch` does not report that. */
import { afterHeader } from '../common/after'
import { languageHeader, Refusal, refusalOf } from '../common/api'
import { t } from '../i18n'

/** Answers with the address of the stored picture; throws `Refusal`. */
export function upload(file: File, progress: (share: number) => void, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', '/pictures')
    for (const [name, value] of Object.entries({ ...languageHeader(), ...afterHeader() })) {
      request.setRequestHeader(name, value)
    }
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total)
    }
    request.onload = async () => {
      const response = new Response(request.responseText, { status: request.status })
      if (!response.ok) reject(await refusalOf(response))
      else resolve(((await response.json()) as { image_url: string }).image_url)
    }
    request.onerror = () => reject(new Refusal(0, 'network', t('errors.network')))
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'))
    signal.addEventListener('abort', () => request.abort())
    const form = new FormData()
    form.set('image', file)
    request.send(form)
  })
}

const PREVIEW_PX = 192

/** A small picture of a picture, as a `data:` address: the pages show no other addresses. Empty for what is no picture. */
export async function previewOf(file: File): Promise<string> {
  try {
    const whole = await createImageBitmap(file)
    const scale = Math.min(1, PREVIEW_PX / Math.max(whole.width, whole.height))
    const canvas = document.createElement('canvas')
    canvas.width = Math.max(1, Math.round(whole.width * scale))
    canvas.height = Math.max(1, Math.round(whole.height * scale))
    canvas.getContext('2d')?.drawImage(whole, 0, 0, canvas.width, canvas.height)
    whole.close()
    return canvas.toDataURL('image/png')
  } catch {
    return ''
  }
}
