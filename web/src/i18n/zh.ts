import { account } from '../accounts/accountTexts'
import { dialogs } from '../accounts/dialogTexts'
import { many } from '../accounts/manyTexts'
import { shopSettings } from '../accounts/settingsTexts'
import { sharing } from '../accounts/shareTexts'
import { accounts } from '../accounts/texts'
import { app } from '../app/texts'
import { modelCost } from '../assistant/costTexts'
import { model } from '../assistant/modelTexts'
import { providers } from '../assistant/providerTexts'
import { runs } from '../assistant/runTexts'
import { desk } from '../chats/deskTexts'
import { quick } from '../chats/quickTexts'
import { conversations, decision } from '../chats/texts'
import { work } from '../chats/workTexts'
import { settings } from '../common/settingTexts'
import { common } from '../common/texts'
import { deliveries } from '../deliveries/texts'
import { history } from '../history/texts'
import { login } from '../login/texts'
import { moving } from '../moving/texts'
import { incidents } from '../notices/incidentTexts'
import { push } from '../notices/pushTexts'
import { notices } from '../notices/texts'
import { webhooks } from '../notices/webhookTexts'
import { orderSteps } from '../orders/stepTexts'
import { orderSums } from '../orders/sumsTexts'
import { orders } from '../orders/texts'
import { firstSteps } from '../overview/firstTexts'
import { overview } from '../overview/texts'
import { answersFirst } from '../rules/firstAnswerTexts'
import { ruleForm } from '../rules/formTexts'
import { ruleLists } from '../rules/listTexts'
import { rules } from '../rules/texts'
import { servers } from '../servers/texts'
import { backups } from '../settings/backupTexts'
import { system } from '../settings/generalTexts'
import { security } from '../settings/securityTexts'
import { tokens } from '../settings/tokenTexts'
import { totp } from '../settings/totpTexts'
import { stockSupplier } from '../stock/supplierTexts'
import { stock } from '../stock/texts'
import { users } from '../users/texts'

/** Every text of the console in Chinese. `en.ts` must have the same keys; the type checker sees to it. */
export const zh = {
  ...accounts.zh,
  ...app.zh,
  ...common.zh,
  ...dialogs.zh,
  ...login.zh,
  ...overview.zh,
  ...sharing.zh,
  fields: { ...common.zh.fields, ...settings.zh.fields },
  hints: settings.zh.hints,
  account: { ...account.zh, ...shopSettings.zh },
  answersFirst: answersFirst.zh,
  firstSteps: firstSteps.zh,
  conversations: conversations.zh,
  deliveries: deliveries.zh,
  desk: desk.zh,
  history: history.zh,
  incidents: incidents.zh,
  many: many.zh,
  model: model.zh,
  modelCost: modelCost.zh,
  moving: moving.zh,
  notices: notices.zh,
  orders: { ...orders.zh, ...orderSteps.zh },
  orderSums: orderSums.zh,
  providers: providers.zh,
  push: push.zh,
  runs: runs.zh,
  users: users.zh,
  ruleLists: ruleLists.zh,
  quick: quick.zh,
  rules: { ...rules.zh, ...ruleForm.zh },
  security: security.zh,
  stock: { ...stock.zh, ...stockSupplier.zh },
  backups: backups.zh,
  system: system.zh,
  servers: servers.zh,
  tokens: tokens.zh,
  totp: totp.zh,
  webhooks: webhooks.zh,
  work: work.zh,
  decision: decision.zh,
}
