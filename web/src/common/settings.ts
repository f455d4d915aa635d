/** The settings of a shop that the console shows. Written by `make generated` from src/shoal/accounts/shop_settings.py and src/shoal/language. */
export interface Setting {
  kind: 'flag' | 'number' | 'lines' | 'reply' | 'line'
  group: string
  help: string
  isOptional: boolean
  isShared: boolean
  least?: number
  most?: number
  isWhole?: boolean
  unit?: string
}
const DECLARED = {
  "name": {
    "kind": "line",
    "group": "basic",
    "help": "howto/many-shops#name",
    "isOptional": false,
    "isShared": false,
    "most": 100
  },
  "remark": {
    "kind": "line",
    "group": "basic",
    "help": "howto/many-shops#remark",
    "isOptional": false,
    "isShared": false,
    "most": 200
  },
  "timezone": {
    "kind": "line",
    "group": "basic",
    "help": "howto/rules#timezone",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "pause_duration": {
    "kind": "number",
    "group": "chat",
    "help": "howto/conversations#pause",
    "isOptional": false,
    "isShared": true,
    "least": 0,
    "most": 60,
    "isWhole": true,
    "unit": ""
  },
  "debounce_seconds": {
    "kind": "number",
    "group": "chat",
    "help": "howto/rules#debounce",
    "isOptional": true,
    "isShared": true,
    "least": 0,
    "most": 30,
    "isWhole": false,
    "unit": ""
  },
  "buyer_replies_per_hour": {
    "kind": "number",
    "group": "chat",
    "help": "howto/rules#buyer-limit",
    "isOptional": true,
    "isShared": true,
    "least": 0,
    "most": 10000,
    "isWhole": true,
    "unit": ""
  },
  "shop_replies_per_minute": {
    "kind": "number",
    "group": "chat",
    "help": "howto/rules#shop-limit",
    "isOptional": true,
    "isShared": true,
    "least": 0,
    "most": 10000,
    "isWhole": true,
    "unit": ""
  },
  "replies": {
    "kind": "flag",
    "group": "chat",
    "help": "howto/delivery#replies",
    "isOptional": false,
    "isShared": true
  },
  "default_reply_enabled": {
    "kind": "flag",
    "group": "chat",
    "help": "howto/rules#default-reply",
    "isOptional": false,
    "isShared": true
  },
  "default_reply": {
    "kind": "reply",
    "group": "chat",
    "help": "howto/rules#default-reply",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "default_reply_once": {
    "kind": "flag",
    "group": "chat",
    "help": "howto/rules#default-reply",
    "isOptional": false,
    "isShared": true
  },
  "delivery": {
    "kind": "flag",
    "group": "order",
    "help": "howto/delivery#delivery",
    "isOptional": false,
    "isShared": true
  },
  "auto_confirm": {
    "kind": "flag",
    "group": "order",
    "help": "howto/delivery#auto-confirm",
    "isOptional": false,
    "isShared": true
  },
  "paid_message": {
    "kind": "reply",
    "group": "order",
    "help": "howto/orders#paid-message",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "free_shipping": {
    "kind": "flag",
    "group": "order",
    "help": "howto/orders#free-shipping",
    "isOptional": false,
    "isShared": true
  },
  "opening_hours": {
    "kind": "lines",
    "group": "hours",
    "help": "howto/rules#opening-hours",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "holidays": {
    "kind": "line",
    "group": "hours",
    "help": "howto/rules#holidays",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "away_reply": {
    "kind": "reply",
    "group": "hours",
    "help": "howto/rules#away-reply",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "handoff_words": {
    "kind": "lines",
    "group": "hours",
    "help": "howto/rules#handoff-words",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "handoff_reply": {
    "kind": "reply",
    "group": "hours",
    "help": "howto/rules#handoff-reply",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "filter_contacts": {
    "kind": "flag",
    "group": "filter",
    "help": "howto/rules#filter-contacts",
    "isOptional": false,
    "isShared": true
  },
  "filter_links": {
    "kind": "flag",
    "group": "filter",
    "help": "howto/rules#filter-links",
    "isOptional": false,
    "isShared": true
  },
  "filter_patterns": {
    "kind": "lines",
    "group": "filter",
    "help": "howto/rules#filter-words",
    "isOptional": false,
    "isShared": true,
    "most": 4000
  },
  "price_floor_fen": {
    "kind": "number",
    "group": "filter",
    "help": "howto/rules#floor",
    "isOptional": true,
    "isShared": true,
    "least": 1,
    "most": 100000000,
    "isWhole": true,
    "unit": "fen"
  }
} as const satisfies Record<string, Setting>
export type SettingName = keyof typeof DECLARED
export const SETTINGS: Readonly<Record<SettingName, Setting>> = DECLARED
