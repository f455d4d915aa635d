/** The groups of texts that show without a sign-in. They are loaded first, all others with the first page. */
export const FIRST = [
  'app',
  'content',
  'errors',
  'fields',
  'files',
  'keys',
  'line',
  'login',
  'nav',
  'outcome',
  'start',
  'time',
  'users',
  'values',
  'version',
]
