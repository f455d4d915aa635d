/** The pages and their addresses. */
import { createRouter, createWebHistory } from 'vue-router'
import { useSession } from '../common/session'
import { mayLeave } from '../common/unsaved'
import { loadPages } from '../i18n'

export const router = createRouter({
  history: createWebHistory('/console/'),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/login', name: 'login', component: () => import('../login/Login.vue'), meta: { open: true } },
    { path: '/join', name: 'join', component: () => import('../login/Join.vue'), meta: { open: true } },
    {
      path: '/',
      component: async () => (await Promise.all([import('./Frame.vue'), loadPages()]))[0],
      children: [
        {
          path: '',
          name: 'overview',
          component: () => import('../overview/Overview.vue'),
          meta: { title: 'nav.overview' },
        },
        {
          path: 'accounts',
          name: 'accounts',
          component: () => import('../accounts/Accounts.vue'),
          meta: { title: 'nav.accounts' },
        },
        {
          path: 'accounts/:id',
          component: () => import('../accounts/Account.vue'),
          props: true,
          meta: { title: 'nav.accounts' },
          children: [
            { path: '', name: 'account', component: () => import('../accounts/AccountOverview.vue') },
            { path: 'rules', name: 'account-rules', component: () => import('../rules/Rules.vue') },
            { path: 'deliveries', name: 'account-deliveries', component: () => import('../deliveries/Deliveries.vue') },
            { path: 'model', name: 'account-model', component: () => import('../assistant/ShopModel.vue') },
            { path: 'runs', name: 'account-runs', component: () => import('../assistant/Runs.vue') },
            { path: 'settings', name: 'account-settings', component: () => import('../accounts/AccountSettings.vue') },
          ],
        },
        {
          path: 'conversations/:account?/:chat?',
          name: 'conversations',
          component: () => import('../chats/Chats.vue'),
          meta: { title: 'nav.conversations' },
        },
        {
          path: 'orders/:account?/:order?',
          name: 'orders',
          component: () => import('../orders/Orders.vue'),
          meta: { title: 'nav.orders' },
        },
        { path: 'stock', name: 'stock', component: () => import('../stock/Stock.vue'), meta: { title: 'nav.stock' } },
        {
          path: 'stock/:id(\\d+)',
          name: 'stock-goods',
          component: () => import('../stock/GoodsPage.vue'),
          props: true,
          meta: { title: 'nav.stock' },
        },
        {
          path: 'history',
          name: 'history',
          component: () => import('../history/History.vue'),
          meta: { title: 'nav.history' },
        },
        {
          path: 'incidents',
          name: 'incidents',
          component: () => import('../notices/Incidents.vue'),
          meta: { title: 'incidents.title' },
        },
        {
          path: 'settings',
          component: () => import('../settings/Settings.vue'),
          meta: { title: 'nav.settings' },
          children: [
            { path: '', name: 'settings', component: () => import('../settings/General.vue') },
            { path: 'me', name: 'settings-me', component: () => import('../settings/Me.vue') },
            { path: 'notices', name: 'settings-notices', component: () => import('../notices/Notices.vue') },
            { path: 'tokens', name: 'settings-tokens', component: () => import('../settings/Tokens.vue') },
            { path: 'people', redirect: { name: 'admin-users' } },
            { path: 'users', redirect: { name: 'admin-users' } },
            { path: 'models', name: 'settings-models', component: () => import('../assistant/Models.vue') },
            { path: 'moving', name: 'settings-moving', component: () => import('../moving/Moving.vue') },
            { path: 'security', name: 'settings-security', component: () => import('../settings/AuditLog.vue') },
          ],
        },
        {
          path: 'administration',
          component: () => import('../settings/Administration.vue'),
          meta: { title: 'nav.admin', admin: true },
          children: [
            { path: '', name: 'admin', component: () => import('../settings/ServerStatus.vue') },
            { path: 'users', name: 'admin-users', component: () => import('../users/Users.vue') },
            { path: 'backups', name: 'admin-backups', component: () => import('../settings/Backups.vue') },
            { path: '/servers', name: 'admin-servers', component: () => import('../servers/Servers.vue') },
            { path: 'audit-log', name: 'admin-audit-log', component: () => import('../settings/AuditLog.vue') },
          ],
        },
        {
          path: ':rest(.*)*',
          name: 'nothing',
          component: () => import('./Nothing.vue'),
          meta: { title: 'errors.notFound' },
        },
      ],
    },
  ],
})

/** The next step is one of the browser's own buttons. It is told before the router's guards are called. */
let isBack = false
router.options.history.listen(() => {
  isBack = true
})
router.beforeEach(async (to, from) => {
  const step = { isBack, isSamePage: to.path === from.path, again: () => void router.push(to) }
  isBack = false
  return to.name === 'login' || (await mayLeave(step))
})
router.beforeEach((to) => {
  const session = useSession()
  if (!to.meta.open && !session.user) return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  if (to.name === 'login' && session.user) return { path: '/' }
  if (to.meta.admin && !session.user?.is_admin) return { name: 'settings' }
  // An administrator's audit log is that of the server; the address in an older notice or bookmark still leads there.
  if (to.name === 'settings-security' && session.user?.is_admin) return { name: 'admin-audit-log', query: to.query }
  return true
})
