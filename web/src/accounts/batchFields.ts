/** What can be changed in many shops at once by a form: the settings of each dialog. */
import { SETTINGS, type SettingName } from '../common/settings'

export type FormKind = 'reply' | 'hours' | 'settings'

/** Two dialogs have settings of their own, and confirmations a button; the third has all others. */
const OWN: Record<Exclude<FormKind, 'settings'>, readonly SettingName[]> = {
  reply: ['default_reply_enabled', 'default_reply', 'default_reply_once'],
  hours: ['opening_hours', 'holidays', 'away_reply', 'timezone'],
}
const APART: readonly SettingName[] = [...OWN.reply, ...OWN.hours, 'auto_confirm']

/** The settings of each dialog, in their order. */
export const FIELDS: Record<FormKind, readonly SettingName[]> = {
  ...OWN,
  settings: (Object.keys(SETTINGS) as SettingName[]).filter((one) => SETTINGS[one].isShared && !APART.includes(one)),
}

/** What a setting that was just ticked is set to until something else is chosen; a number must be typed. */
export const firstValue = (field: SettingName): boolean | string | null =>
  SETTINGS[field].kind === 'flag' ? true : SETTINGS[field].kind === 'number' ? null : ''
