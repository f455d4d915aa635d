/** The texts of the sign-in. */
import type { Texts } from '../i18n/messages'

const zh = {
  login: {
    title: '登录 Shoal',
    name: '用户名或邮箱',
    password: '密码',
    submit: '登录',
    hint: '首次启动时，管理员密码会在服务器的终端里显示一次。',
    expired: '登录已过期，请重新登录。',
    code: '验证码或恢复码',
    codeHint: '验证器应用里的 6 位数字；没有手机时用一个恢复码。',
    holdOff: '尝试太频繁，请在 {n} 秒后再试。',
  },
}

const en: Texts<typeof zh> = {
  login: {
    title: 'Sign in to Shoal',
    name: 'User name or e-mail',
    password: 'Password',
    submit: 'Sign in',
    hint: 'At its first start the server prints the administrator’s password once, in its terminal.',
    expired: 'Your session is over. Please sign in again.',
    code: 'Code, or a recovery code',
    codeHint: 'The six digits of your authenticator app; without the phone, one of your recovery codes.',
    holdOff: 'There were too many attempts. Try again in {n} s.',
  },
}

export const login = { zh, en }
