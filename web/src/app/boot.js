// What happens before the console's own scripts are there: the look and the language that were chosen, and a word when
// the rest cannot be loaded. It imports nothing, because it must run when nothing else does.
;(() => {
  const root = document.documentElement
  const kept = (name) => {
    try {
      return localStorage.getItem(name)
    } catch {
      return null
    }
  }

  const appearance = kept('shoal.appearance')
  const isDark = appearance === 'dark' || (appearance !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  root.dataset.theme = isDark ? 'dark' : 'light'

  const language = kept('shoal.language') ?? navigator.languages.find((tag) => /^(zh|en)\b/i.test(tag)) ?? 'zh'
  root.dataset.language = language.slice(0, 2).toLowerCase()
  root.lang = root.dataset.language === 'en' ? 'en' : 'zh-CN'

  // Who is not signed in is led to a form, not to the frame of the pages.
  root.dataset.first = kept('shoal.signed-in') ? 'pages' : 'form'

  // The texts of that language, of the pages only for who is signed in: asked for now, not when a script asks for them.
  const [first, pages] = (document.currentScript?.dataset[root.dataset.language === 'en' ? 'en' : 'zh'] ?? '').split(
    ' ',
  )
  for (const href of root.dataset.first === 'pages' ? [first, pages] : [first]) {
    if (href) document.head.append(Object.assign(document.createElement('link'), { rel: 'modulepreload', href }))
  }

  /** Shows the word in place of the skeleton; once the console is there, both are gone. */
  const fail = () => {
    const word = document.getElementById('boot-failed')
    if (!word) return
    root.dataset.failed = ''
    word.hidden = false
  }
  addEventListener('click', (event) => {
    if (event.target instanceof Element && event.target.closest('#boot button')) location.reload()
  })

  const isOurs = (address) => String(address).includes('/console/assets/')

  addEventListener(
    'error',
    (event) => {
      const from = event.target
      if (from instanceof HTMLScriptElement) isOurs(from.src) && fail()
      else if (event instanceof ErrorEvent && isOurs(event.filename)) fail()
    },
    true,
  )
})()
