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
import type { Messages } from './messages'

/** Every text of the console in English. */
export const en: Messages = {
  ...accounts.en,
  ...app.en,
  ...common.en,
  ...dialogs.en,
  ...login.en,
  ...overview.en,
  ...sharing.en,
  fields: { ...common.en.fields, ...settings.en.fields },
  hints: settings.en.hints,
  account: { ...account.en, ...shopSettings.en },
  answersFirst: answersFirst.en,
  firstSteps: firstSteps.en,
  conversations: conversations.en,
  deliveries: deliveries.en,
  desk: desk.en,
  history: history.en,
  incidents: incidents.en,
  many: many.en,
  model: model.en,
  modelCost: modelCost.en,
  moving: moving.en,
  notices: notices.en,
  orders: { ...orders.en, ...orderSteps.en },
  orderSums: orderSums.en,
  providers: providers.en,
  push: push.en,
  runs: runs.en,
  users: users.en,
  ruleLists: ruleLists.en,
  quick: quick.en,
  rules: { ...rules.en, ...ruleForm.en },
  security: security.en,
  stock: { ...stock.en, ...stockSupplier.en },
  backups: backups.en,
  system: system.en,
  servers: servers.en,
  tokens: tokens.en,
  totp: totp.en,
  webhooks: webhooks.en,
  work: work.en,
  decision: decision.en,
}
