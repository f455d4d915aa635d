/** Tags are the words of a remark that begin with "#": searched, sorted and kept like any other word of it. */

const TAG = /(?:^|\s)#([^\s#]+)/gu

/** The tags of a remark, in their order, each once. */
export function tagsOf(remark: string): string[] {
  return [...new Set(Array.from(remark.matchAll(TAG), (match) => match[1] ?? ''))]
}

/** A remark without its tags. */
export function withoutTags(remark: string): string {
  return remark.replace(TAG, ' ').replace(/\s+/g, ' ').trim()
}
