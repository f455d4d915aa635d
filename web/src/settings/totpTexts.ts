/** The texts about the second factor. */
import type { Texts } from '../i18n/messages'

const zh = {
  title: '两步验证',
  text: '登录时除密码外，还需输入手机验证器应用中的 6 位数字。即使密码泄露，他人也无法登录。',
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
  title: 'Two-step verification',
  text: 'Signing in asks for six digits from an authenticator app on your phone in addition to the password, so a stolen password is not enough.',
  on: 'Turn on',
  isOn: 'On',
  off: 'Turn off',
  isOff: 'Two-step verification is off',
  left: '{n} recovery code left | {n} recovery codes left',
  renew: 'New recovery codes',
  renewText: 'The old codes stop working. Enter your password and a code.',
  passwordText: 'Enter your password first to confirm it’s you.',
  offText: 'Enter your password and a code or recovery code.',
  scan: 'Scan this with an authenticator app (Google Authenticator, Aegis, 1Password …), then enter the six digits it shows.',
  alt: 'QR code for an authenticator app',
  byHand: 'Can’t scan it? Enter the key',
  code: 'Six digits from the app',
  codes: 'Recovery codes',
  codesText:
    'If you lose your phone, each code works once instead. Store them somewhere safe. Other devices were signed out.',
  kept: 'I’ve saved them',
  next: 'Next',
  takeAway: 'Turn off two-step verification',
  taken: 'Two-step verification of {name} is off',
}

export const totp = { zh, en }
