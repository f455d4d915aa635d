/** What the server answers about providers and runs of models. */
import type { components } from '../common/schema'

export type Run = components['schemas']['RunShape']
export type RunState = Run['state']
export type UsageRow = components['schemas']['UsageRow']
export type Provider = components['schemas']['ProviderShape']
export type ProviderKind = Provider['kind']
export type ProviderCheck = components['schemas']['ProviderChecked']
export type ModelItem = components['schemas']['ItemShape']
export type ModelSettings = components['schemas']['ModelSettings']
export type Fact = ModelSettings['ai_facts'][number]
export type RailWord = components['schemas']['RailShape']
export type ItemPage = components['schemas']['ItemPageShape']
export type TriedModel = components['schemas']['TriedModel']
