/** What the server tells about the runs of a model. */
import type { components } from '../common/schema'

export type Run = components['schemas']['RunShape']
export type RunState = Run['state']
export type UsageRow = components['schemas']['UsageRow']
