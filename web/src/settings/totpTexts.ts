/** The texts about the second factor. */
import type { Texts } from '../i18n/messages'

const zh = {
  title: '两步验证',
  text: '登录时除密码外，还要输入手机验证器应用里的 6 位数字。密码泄露时，别人仍然进不来。',
  on: '开启两步验证',
  isOn: '已开启',
  off: '关闭两步验证',
  isOff: '两步验证已关闭',
  left: '还剩 {n} 个恢复码',
  renew: '重新生成恢复码',
  renewText: '旧的恢复码会全部失效。请输入密码和一个验证码。',
  passwordText: '请先输入密码，证明是您本人。',
  offText: '请输入密码，以及一个验证码或恢复码。',
  scan: '用验证器应用（如 Google Authenticator、Aegis、1Password）扫描，然后输入它显示的 6 位数字。',
  alt: '供验证器应用扫描的二维码',
  byHand: '无法扫描？手动输入密钥',
  code: '应用显示的 6 位数字',
  codes: '恢复码',
  codesText: '手机丢失时，用恢复码代替验证码登录，每个只能用一次。请保存在手机以外的地方。其他设备上的登录已结束。',
  kept: '我已保存',
  next: '下一步',
  takeAway: '取消其两步验证',
  taken: '已取消 {name} 的两步验证',
}

const en: Texts<typeof zh> = {
  title: 'Second factor',
  text: 'At sign-in the six digits of an authenticator app on your phone are asked for besides the password. Who learns the password still cannot come in.',
  on: 'Switch it on',
  isOn: 'It is on',
  off: 'Switch it off',
  isOff: 'The second factor is off',
  left: 'Recovery codes left: {n}',
  renew: 'New recovery codes',
  renewText: 'The old ones are worth nothing then. Type your password and a code.',
  passwordText: 'Type your password first, to show that it is you.',
  offText: 'Type your password, and a code or a recovery code.',
  scan: 'Scan this with an authenticator app (Google Authenticator, Aegis, 1Password …), then type the six digits that it shows.',
  alt: 'A code for an authenticator app to scan',
  byHand: 'It cannot be scanned? Type the key',
  code: 'The six digits that the app shows',
  codes: 'Recovery codes',
  codesText:
    'When the phone is gone they stand for its code, each once. Keep them somewhere else. Sign-ins on other devices have ended.',
  kept: 'I have kept them',
  next: 'Next',
  takeAway: 'Take the second factor away',
  taken: 'The second factor of {name} is off',
}

export const totp = { zh, en }
