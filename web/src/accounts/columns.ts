/** The columns of the table of shops: which there are, and which this browser shows. */
import { computed, ref } from 'vue'
import type { Key } from '../i18n'
import type { SortKey } from './arrange'

export interface Column {
  key: string
  title: Key
  width: string
  sort?: SortKey
}

/** The columns that may be left out. */
export const OPTIONAL: Column[] = [
  { key: 'confirm', title: 'accounts.autoConfirm', width: '108px' },
  { key: 'rules', title: 'accounts.rules', width: '78px', sort: 'rules' },
  { key: 'messages', title: 'many.messages', width: '104px', sort: 'messages' },
  { key: 'replies', title: 'many.replies', width: '104px', sort: 'replies' },
  { key: 'message', title: 'accounts.lastMessage', width: '118px', sort: 'message' },
  { key: 'unb', title: 'accounts.unb', width: '136px' },
  { key: 'proxy', title: 'accounts.proxy', width: '150px' },
  { key: 'pause', title: 'accounts.pause', width: '104px' },
]
const FIRST_COLUMNS = ['confirm', 'rules', 'message']
const COLUMNS = 'shoal.columns'

function remembered(): string[] {
  const stored = localStorage.getItem(COLUMNS)
  return stored === null ? FIRST_COLUMNS : stored.split(',')
}

export function useColumns() {
  const columns = ref<string[]>(remembered())
  const chosen = computed(() => OPTIONAL.filter((column) => columns.value.includes(column.key)))
  /** The widths of all columns, for the grid. */
  const template = computed(() => {
    const widths = chosen.value.map((column) => column.width).join(' ')
    return `38px minmax(180px, 1.1fr) minmax(186px, 1fr) 68px ${widths} 48px`
  })

  function choose(next: string[]): void {
    columns.value = next
    localStorage.setItem(COLUMNS, next.join(','))
  }

  return { columns, chosen, template, choose }
}
