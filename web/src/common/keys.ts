/** Shortcuts: single keys, or "g" and a second one within a second. They rest while somebody types or a dialog is open. */
import { onScopeDispose } from 'vue'

const SECOND_KEY_MS = 1_000

let first = ''
let since = 0

/** The shortcut that a key press means, or nothing. A press of "g" alone waits for the second key. */
export function shortcut(event: KeyboardEvent): string {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return ''
  if (document.querySelector('dialog[open]')) return ''
  if (event.key === 'Shift') return ''
  const pair = first && event.timeStamp - since < SECOND_KEY_MS ? `${first} ${event.key}` : event.key
  first = event.key === 'g' && pair === 'g' ? 'g' : ''
  since = event.timeStamp
  return pair
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}

type Actions = Record<string, () => void>
const all = new Set<Actions>()

function onKey(event: KeyboardEvent): void {
  const pressed = shortcut(event)
  if (!pressed) return
  for (const actions of [...all].reverse()) {
    const action = actions[pressed]
    if (!action) continue
    event.preventDefault()
    action()
    return
  }
}

/** Shortcuts that hold while a component is there; those of a page go before those of the frame around it. */
export function useKeys(actions: Actions): void {
  if (all.size === 0) document.addEventListener('keydown', onKey)
  all.add(actions)
  onScopeDispose(() => {
    all.delete(actions)
    if (all.size === 0) document.removeEventListener('keydown', onKey)
  })
}
