/** Where the help tells about each setting of a shop. */
import type { SettingName } from './settingsForm'

export const HELP: Record<SettingName, string> = {
  name: 'howto/many-shops#many',
  remark: 'howto/many-shops#many',
  timezone: 'howto/rules#hours',
  pause_duration: 'howto/conversations#take-over',
  debounce_seconds: 'howto/rules#order',
  buyer_replies_per_hour: 'howto/rules#unanswered',
  shop_replies_per_minute: 'howto/rules#unanswered',
  replies: 'howto/delivery#switches',
  default_reply_enabled: 'howto/rules#order',
  default_reply: 'howto/rules#variables',
  default_reply_once: 'howto/rules#order',
  delivery: 'howto/delivery#switches',
  paid_message: 'howto/orders#settings',
  free_shipping: 'howto/orders#settings',
  opening_hours: 'howto/rules#hours',
  holidays: 'howto/rules#hours',
  away_reply: 'howto/rules#hours',
  handoff_words: 'howto/rules#hours',
  handoff_reply: 'howto/rules#hours',
  filter_contacts: 'howto/rules#hours',
  filter_links: 'howto/rules#hours',
  filter_patterns: 'howto/rules#hours',
  price_floor_fen: 'howto/rules#hours',
}
