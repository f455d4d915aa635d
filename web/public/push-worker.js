// Shows what the server pushes, also while no page is open. It answers no request and keeps no file, so that an upgrade
// of the console is never held up by an old one.
const HOME = '/console/'
const ICON = '/console/icon-192.png'

self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
self.addEventListener('push', (event) => event.waitUntil(show(noticeOf(event.data))))
self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(open(event.notification.data?.page))
})

/** The notice that the server sent; a push that cannot be read is shown too: a browser ends pushes that show nothing. */
function noticeOf(data) {
  try {
    return data?.json() ?? {}
  } catch {
    return {}
  }
}

function show({ title, body, page, tag, lang, level }) {
  return self.registration.showNotification(title || 'Shoal', {
    body: body || '',
    lang: lang || '',
    tag: tag || '',
    icon: ICON,
    requireInteraction: level === 'urgent',
    data: { page: pageOf(page) },
  })
}

/** Only pages of this console are opened. */
function pageOf(page) {
  const url = new URL(typeof page === 'string' ? page : HOME, self.location.origin)
  return url.origin === self.location.origin && url.pathname.startsWith(HOME) ? url.pathname + url.search : HOME
}

/** In a window that shows the console already: it goes there without being loaded anew, so drafts stay. */
async function open(page) {
  const place = pageOf(page)
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const ours = windows.find((one) => new URL(one.url).pathname.startsWith(HOME))
  if (!ours) return self.clients.openWindow(place)
  ours.postMessage({ type: 'open', page: place })
  return ours.focus()
}
