/** Tags are the words of a remark that begin with "#": searched, sorted and kept like any other word of it. */

const TAG = /(?:^|\s)#([^\s#]+)/gu

/** The tags of a remark, in their order, each once. */
export function tagsOf(remark: string): string[] {
  if (!remark.includes('#')) return []
  return [...new Set(Array.from(remark.matchAll(TAG), (match) => match[1] ?? ''))]
}

/** A remark without its tags. */
export function withoutTags(remark: string): string {
  return remark.replace(TAG, ' ').replace(/\s+/g, ' ').trim()
}

/** What a remark says besides its tags and the name of the shop, which stands above it. */
export function restOf(remark: string, name: string): string {
  const text = withoutTags(remark)
  if (!text.startsWith(name)) return text
  const rest = text.slice(name.length)
  // A longer word that only begins like the name is a text of its own.
  return /^[\p{L}\p{N}]/u.test(rest) ? text : rest.replace(/^[\s,，、;；:：·\-–—]+/u, '').trim()
}

/** A tag as it is typed: without its "#"; empty when it would be no tag. */
export const tagIn = (typed: string): string => /^#?([^\s#]+)$/u.exec(typed.trim())?.[1] ?? ''

/** A remark with a tag, or without it; the rest stays as it is. */
export function tagged(remark: string, tag: string, on: boolean): string {
  if (tagsOf(remark).includes(tag) === on) return remark
  if (on) return `${remark} #${tag}`.trim()
  return remark
    .split(/(\s+)/)
    .filter((word) => word !== `#${tag}`)
    .join('')
    .replace(/\s{2,}/g, ' ')
    .trim()
}
