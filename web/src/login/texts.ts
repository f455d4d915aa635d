/** The texts of the sign-in. */
import type { Texts } from '../i18n/messages'

const zh = {
  login: {
    title: '登录 Shoal',
    name: '用户名或邮箱',
    password: '密码',
    show: '显示',
    submit: '登录',
    hint: '首次启动时，服务器的终端里会显示管理员的设置链接。',
    forgotten: '忘记密码？',
    expired: '登录已过期，请重新登录。',
    waits: '登录已过期。请重新登录，填写的内容还在。',
    code: '验证码或恢复码',
    codeHint: '验证器应用里的 6 位数字；没有手机时用一个恢复码。',
    holdOff: '尝试过于频繁，请在 {n} 秒后再试。',
  },
}

const en: Texts<typeof zh> = {
  login: {
    title: 'Sign in to Shoal',
    name: 'User name or email',
    password: 'Password',
    show: 'Show',
    submit: 'Sign in',
    hint: 'On first start the server prints a setup link for the administrator in its terminal.',
    forgotten: 'Forgot your password?',
    expired: 'Your session has expired. Please sign in again.',
    waits: 'Your session has expired. Sign in again: what you were filling in is still there.',
    code: 'Verification or recovery code',
    codeHint: 'Six digits from your authenticator app, or a recovery code if you don’t have your phone.',
    holdOff: 'Too many attempts. Try again in {n} s.',
  },
}

export const login = { zh, en }
