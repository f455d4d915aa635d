/** What needs a hand, as one number for all pages: shops, orders, payments that name no order, and other incidents. */
import { defineStore } from 'pinia'
import { computed } from 'vue'
import { todoOf } from '../accounts/arrange'
import { reasonOf } from '../accounts/changes'
import { useAccounts } from '../accounts/store'
import { count } from '../common/clock'
import type { Tone } from '../common/ui/ToneMark.vue'
import { t } from '../i18n'
import { TONES } from './incidents'
import { useOpenIncidents } from './openIncidents'
import { useOrderNeeds } from './orderNeeds'

/** One line of a list of what needs a hand. */
export interface Need {
  key: string
  tone: Tone
  title: string
  note: string
  /** The address of the page on which to act. */
  to: string
}

export const useNeeds = defineStore('needs', () => {
  const accounts = useAccounts()
  const orders = useOrderNeeds()
  const open = useOpenIncidents()

  const number = computed(() => accounts.counts.hand + orders.number + open.others.length)
  /** "3", or "23+" where there are more orders than were counted. */
  const label = computed(() => `${count(number.value)}${orders.isMore ? '+' : ''}`)

  const ofShops = computed<Need[]>(() =>
    todoOf(accounts.list).map((account) => ({
      key: account.id,
      tone: account.state === 'parked' ? 'bad' : 'warn',
      title: accounts.nameOf(account.id),
      note: reasonOf(account),
      to: `/accounts/${encodeURIComponent(account.id)}`,
    })),
  )
  const ofOrders = computed<Need[]>(() =>
    orders.number
      ? [
          {
            key: '/orders',
            tone: 'warn',
            title: t('overview.ordersWait', { n: orders.number, shown: orders.badge }),
            note: '',
            to: '/orders?filter=hand',
          },
        ]
      : [],
  )
  const ofOthers = computed<Need[]>(() =>
    open.others.map((one) => ({
      key: `/${one.id}`,
      tone: TONES[one.level],
      title: one.detail,
      note: one.about,
      to: `/${one.page}`,
    })),
  )
  /** All of it in lines: the orders are one line. */
  const lines = computed(() => [...ofShops.value, ...ofOrders.value, ...ofOthers.value])

  return { number, label, ofOthers, lines }
})
