/** What needs a hand, as one number for all pages: shops, orders, and payments that name no order. */
import { defineStore } from 'pinia'
import { computed } from 'vue'
import { useAccounts } from '../accounts/store'
import { count } from '../common/clock'
import { useOrderNeeds } from '../notices/orderNeeds'

export const useNeeds = defineStore('needs', () => {
  const accounts = useAccounts()
  const orders = useOrderNeeds()

  const number = computed(() => accounts.counts.hand + orders.number)
  /** "3", or "23+" where there are more orders than were counted. */
  const label = computed(() => `${count(number.value)}${orders.isMore ? '+' : ''}`)

  return { number, label }
})
