/** Where the help explains each setting of a shop. */
import type { SettingName } from './settingsForm'

export const HELP: Record<SettingName | 'auto_confirm', string> = {
  name: 'howto/many-shops#name',
  remark: 'howto/many-shops#remark',
  timezone: 'howto/rules#timezone',
  pause_duration: 'howto/conversations#pause',
  debounce_seconds: 'howto/rules#debounce',
  buyer_replies_per_hour: 'howto/rules#buyer-limit',
  shop_replies_per_minute: 'howto/rules#shop-limit',
  replies: 'howto/delivery#replies',
  default_reply_enabled: 'howto/rules#default-reply',
  default_reply: 'howto/rules#default-reply',
  default_reply_once: 'howto/rules#default-reply',
  delivery: 'howto/delivery#delivery',
  auto_confirm: 'howto/delivery#auto-confirm',
  paid_message: 'howto/orders#paid-message',
  free_shipping: 'howto/orders#free-shipping',
  opening_hours: 'howto/rules#opening-hours',
  holidays: 'howto/rules#holidays',
  away_reply: 'howto/rules#away-reply',
  handoff_words: 'howto/rules#handoff-words',
  handoff_reply: 'howto/rules#handoff-reply',
  filter_contacts: 'howto/rules#filter-contacts',
  filter_links: 'howto/rules#filter-links',
  filter_patterns: 'howto/rules#filter-words',
  price_floor_fen: 'howto/rules#floor',
}
