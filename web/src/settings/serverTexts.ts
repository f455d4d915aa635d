/** The texts of the card of the servers that share one database. */
import type { Texts } from '../i18n/messages'

const zh = {
  title: '服务器',
  text: '几台服务器共用一个数据库，分担所有店铺。一台停了，其他服务器会接手它的店铺。',
  asked: '当前连接',
  live: '运行中',
  draining: '正在移交店铺',
  drained: '店铺已移交，可以停止',
  gone: '未运行',
  shops: '{n} 个店铺',
  left: '再失联 {n} 秒就由别的服务器接手',
  since: '{time}启动',
  drain: '移交店铺',
  drainText: '把这台服务器的店铺分批交给其他服务器，之后就可以停止它',
  undrain: '重新接手',
  undrainText: '让这台服务器重新接手自己的那份店铺',
  clock: '时钟比数据库快 {n} 秒（负数为慢），请校时。相差 10 秒以上时不接手店铺。',
  sameVersion: '有服务器的版本不同。升级期间是正常的；否则请统一版本。',
}

const en: Texts<typeof zh> = {
  title: 'Servers',
  text: 'Several servers share one database and divide the shops. When one stops, the others take over its shops.',
  asked: 'answers this page',
  live: 'running',
  draining: 'giving up its shops',
  drained: 'has given up its shops, can be stopped',
  gone: 'not running',
  shops: 'Shops: {n}',
  left: 'taken over after {n} s of silence',
  since: 'started {time}',
  drain: 'Give up shops',
  drainText: 'Hand the shops of this server to the others, some at a time; then it can be stopped',
  undrain: 'Take shops again',
  undrainText: 'Let this server take its share of the shops again',
  clock: 'Its clock is {n} s ahead of the database (negative: behind). Set it right: from 10 s on it takes no shops.',
  sameVersion:
    'Not all servers have the same version. That is normal during an upgrade; otherwise install one version everywhere.',
}

export const servers = { zh, en }
