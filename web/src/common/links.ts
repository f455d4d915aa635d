/** The links in what people write: found, and shown with their real host where the text could deceive. */

export interface Piece {
  text: string
  /** Where the piece leads; missing for plain text. */
  href?: string
  /** The host as the browser asks for it, where it is not what the text shows. */
  host?: string
}

/** Ends at white space, quotes, Chinese punctuation, and at characters that turn the direction of writing. */
const LINK = /https?:\/\/[^\s<>"'`，。！？；：、（）《》【】“”‘’「」\u200b-\u200f\u202a-\u202e\u2066-\u2069]+/giu
const TAIL = /[.,!?;:'*_~|\]}]+$/u

/** A link without the punctuation after it. A closing bracket belongs to it when it was opened in it. */
function trimmed(found: string): string {
  let link = found.replace(TAIL, '')
  while (link.endsWith(')') && link.split(')').length > link.split('(').length)
    link = link.slice(0, -1).replace(TAIL, '')
  return link
}

/** The address that a link leads to; nothing for what is no address of the web. */
function parsed(link: string): URL | null {
  const address = URL.canParse(link) ? new URL(link) : null
  return address && /^https?:$/.test(address.protocol) && address.hostname ? address : null
}

/** The text in pieces, of which some are links. Put together, they are the text. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let from = 0
  for (const match of text.matchAll(LINK)) {
    const link = trimmed(match[0])
    const address = parsed(link)
    if (!address) continue
    const shown = link.replace(/^https?:\/\//i, '').toLowerCase()
    const isPlain = shown.startsWith(address.host) && !address.username && !address.password
    if (match.index > from) found.push({ text: text.slice(from, match.index) })
    found.push({ text: link, href: address.href, ...(!isPlain && { host: address.host }) })
    from = match.index + link.length
  }
  if (from < text.length || !found.length) found.push({ text: text.slice(from) })
  return found
}

/** A page of the site in few words, as "goofish.com/im". Nothing for any other address: a sentence leads to none. */
export function siteName(href: string): string {
  const { origin, pathname } = new URL(href)
  return origin === 'https://www.goofish.com' ? `goofish.com${pathname}`.replace(/\/$/, '') : ''
}

export const hostOf = (href: string): string => new URL(href).hostname

/** Whether an address leads each reader to their own machine. */
export const isOnlyHere = (href: string): boolean => /^(.*\.)?localhost$|^127\.[\d.]+$|^\[::1\]$/.test(hostOf(href))
