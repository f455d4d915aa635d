/** Putting other delivery rules in place of those that were seen. */
import { call, type DeliveriesReplaced, type DeliveryList, type DeliveryRule, path, Refusal } from '../common/api'
import { same } from '../common/drafts'

const MOST_TRIES = 3

/** `load` brings `seen` up to date. A change of something else of the shop, such as a new cookie, is no hindrance. */
export async function putRules(
  account: string,
  seen: () => DeliveryList | null,
  load: () => Promise<void>,
  change: (rules: DeliveryRule[]) => DeliveryRule[],
): Promise<DeliveriesReplaced> {
  for (let tries = 1; ; tries++) {
    const before = seen()
    try {
      return await call<DeliveriesReplaced>('PUT', path('cookies', account, 'deliveries'), {
        body: { rules: change(before?.rules ?? []) },
        ifMatch: `"g${before?.generation}"`,
      })
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 412)) throw error
      await load()
      if (tries === MOST_TRIES || !same(before?.rules, seen()?.rules)) throw error
    }
  }
}
