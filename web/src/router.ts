/** The pages and their addresses. */
import { createRouter, createWebHistory } from 'vue-router'
import { useSession } from './stores/session'

export const router = createRouter({
  history: createWebHistory('/console/'),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/login', name: 'login', component: () => import('./pages/Login.vue'), meta: { open: true } },
    { path: '/join', name: 'join', component: () => import('./pages/Join.vue'), meta: { open: true } },
    {
      path: '/',
      component: () => import('./components/Shell.vue'),
      children: [
        {
          path: '',
          name: 'overview',
          component: () => import('./pages/Overview.vue'),
          meta: { title: 'nav.overview' },
        },
        {
          path: 'accounts',
          name: 'accounts',
          component: () => import('./pages/Accounts.vue'),
          meta: { title: 'nav.accounts' },
        },
        {
          path: 'accounts/:id',
          component: () => import('./pages/Account.vue'),
          props: true,
          meta: { title: 'nav.accounts' },
          children: [
            { path: '', name: 'account', component: () => import('./pages/AccountOverview.vue') },
            { path: 'rules', name: 'account-rules', component: () => import('./pages/AccountRules.vue') },
            { path: 'settings', name: 'account-settings', component: () => import('./pages/AccountSettings.vue') },
          ],
        },
        {
          path: 'conversations/:account?/:chat?',
          name: 'conversations',
          component: () => import('./pages/Conversations.vue'),
          meta: { title: 'nav.conversations' },
        },
        {
          path: 'orders/:account?/:order?',
          name: 'orders',
          component: () => import('./pages/Orders.vue'),
          meta: { title: 'nav.orders' },
        },
        {
          path: 'history',
          name: 'history',
          component: () => import('./pages/History.vue'),
          meta: { title: 'nav.history' },
        },
        {
          path: 'settings',
          component: () => import('./pages/Settings.vue'),
          meta: { title: 'nav.settings' },
          children: [
            { path: '', name: 'settings', component: () => import('./pages/SettingsGeneral.vue') },
            { path: 'me', name: 'settings-me', component: () => import('./pages/SettingsMe.vue') },
            { path: 'tokens', name: 'settings-tokens', component: () => import('./pages/SettingsTokens.vue') },
            { path: 'people', name: 'settings-people', component: () => import('./pages/SettingsPeople.vue') },
            { path: 'security', name: 'settings-security', component: () => import('./pages/SettingsSecurity.vue') },
          ],
        },
        {
          path: ':rest(.*)*',
          name: 'nothing',
          component: () => import('./pages/Nothing.vue'),
          meta: { title: 'errors.notFound' },
        },
      ],
    },
  ],
})

router.beforeEach((to) => {
  const session = useSession()
  if (!to.meta.open && !session.person)
    return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  if (to.name === 'login' && session.person) return { path: '/' }
  return true
})
