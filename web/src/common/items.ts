/** Items of the site, as users name them. */

const ID = /^[0-9A-Za-z]{1,64}$/
const IN_A_LINK = /[?&](?:id|itemId)=([0-9A-Za-z]{1,64})(?:[&#]|$)/

/** The id in what was typed or pasted: the id itself, or a link to the item's page; empty when there is none. */
export function itemIdIn(text: string): string {
  const trimmed = text.trim()
  if (ID.test(trimmed)) return trimmed
  return IN_A_LINK.exec(trimmed)?.[1] ?? ''
}
