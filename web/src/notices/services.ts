/** The services of notices as they are shown: a sign of our own in a colour of each, and the names of their fields. */
import { Mail, Webhook } from '@lucide/vue'
import type { Component } from 'vue'
import { labelOf } from '../i18n'

interface Sign {
  text?: string
  icon?: Component
  colour: string
}

const SIGNS: Readonly<Record<string, Sign>> = {
  dingtalk: { text: '钉', colour: '#0b62d6' },
  feishu: { text: '飞', colour: '#2f5bd7' },
  lark: { text: 'La', colour: '#1d6f6a' },
  wecom: { text: '企', colour: '#2a6f3f' },
  bark: { text: 'Ba', colour: '#b3352b' },
  pushplus: { text: 'P+', colour: '#96501a' },
  serverchan: { text: '酱', colour: '#8a4a00' },
  wxpusher: { text: 'Wx', colour: '#17703c' },
  telegram: { text: 'Te', colour: '#146a97' },
  qq: { text: 'QQ', colour: '#3d4f9f' },
  ntfy: { text: 'nt', colour: '#2f6b60' },
  gotify: { text: 'Go', colour: '#4d5a75' },
  email: { icon: Mail, colour: '#5b4aa8' },
  webhook: { icon: Webhook, colour: '#535b69' },
}

/** Services that are set up elsewhere than by fields. */
const BY_ITSELF: ReadonlySet<string> = new Set(['webpush'])

export const isByFields = (service: string): boolean => !BY_ITSELF.has(service)

export const signOf = (service: string): Sign => SIGNS[service] ?? { text: service.slice(0, 2), colour: '#535b69' }

export const serviceName = (service: string): string => labelOf('notices.services', service)

/** What is to be written into a field: a service may call it otherwise than the others do. */
export const fieldName = (service: string, field: string): string =>
  labelOf('notices.fields', `${service}_${field}`, labelOf('notices.fields', field))

/** Where the key of a service is found; empty for a service without such a sentence. */
export const whereOf = (service: string): string => labelOf('notices.where', service, '')

/** The place of each service in the help. */
const PLACES: Readonly<Record<string, string>> = {
  dingtalk: 'howto/notices#dingtalk',
  feishu: 'howto/notices#feishu',
  lark: 'howto/notices#feishu',
  wecom: 'howto/notices#wecom',
  bark: 'howto/notices#bark',
  pushplus: 'howto/notices#pushplus',
  serverchan: 'howto/notices#serverchan',
  wxpusher: 'howto/notices#wxpusher',
  telegram: 'howto/notices#telegram',
  qq: 'howto/notices#qmsg',
  ntfy: 'howto/notices#ntfy',
  gotify: 'howto/notices#ntfy',
  email: 'howto/notices#email',
  webhook: 'howto/notices#address',
}

/** Where the help says how a service is set up. */
export const helpOf = (service: string): string => PLACES[service] ?? 'howto/notices#channel'
