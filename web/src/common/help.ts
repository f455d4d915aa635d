/** Which page of the help belongs to which page of the console. */
export const helpPages: Readonly<Record<string, string>> = {
  login: 'quick-start/',
  join: 'howto/colleagues/',
  overview: '',
  accounts: 'states/',
  account: 'states/',
  'account-rules': 'howto/rules/',
  'account-deliveries': 'howto/delivery/',
  'account-model': 'howto/model/',
  'account-runs': 'howto/model/',
  'account-settings': 'howto/orders/',
  conversations: 'howto/conversations/',
  orders: 'howto/orders/',
  stock: 'howto/stock/',
  'stock-goods': 'howto/stock/',
  history: 'concepts/promises/',
  incidents: 'howto/notices/',
  settings: 'quick-start/',
  'settings-me': 'howto/colleagues/',
  'settings-notices': 'howto/notices/',
  'settings-tokens': 'howto/colleagues/',
  'settings-models': 'howto/model/',
  'settings-moving': 'howto/moving-in/',
  'settings-security': 'howto/colleagues/',
  admin: 'howto/install/',
  'admin-users': 'howto/colleagues/',
  'admin-backups': 'howto/backup/',
  'admin-servers': 'howto/several-machines/',
  'admin-audit-log': 'howto/colleagues/',
  nothing: '',
}

/** Pages of the help that belong to a part of a page. */
export const helpOfParts: Readonly<Record<string, string>> = {
  adding: 'quick-start/',
  replies: 'howto/rules/',
  webhooks: 'howto/webhooks/',
  backups: 'howto/backup/',
}

/** The address of the help on a page of the console or a part of one, in the language of the console. */
export function helpAddress(page: string, locale: 'zh' | 'en'): string {
  return `/help/${locale === 'en' ? 'en/' : ''}${helpPages[page] ?? helpOfParts[page] ?? ''}`
}

/** The address of an anchor in the help, as in "howto/notices#quiet-hours"; both languages have the same anchors. */
export function helpPlace(at: string, locale: 'zh' | 'en'): string {
  const [page, anchor] = at.split('#')
  return `/help/${locale === 'en' ? 'en/' : ''}${page}/#${anchor}`
}
