/** The settings of a shop's model that one form holds. */
import type { NewFact } from './factLines'
import type { ModelSettings } from './shapes'

export interface ModelFields extends Record<string, unknown> {
  ai_mode: ModelSettings['ai_mode']
  ai_provider_id: number
  ai_persona: string
  ai_facts: NewFact[]
  ai_hours: string
  ai_turns_per_chat: number
  ai_tokens_per_day: number
  ai_disclosure: boolean
}
export type ModelField = keyof ModelFields & string

/** What the form begins with. A fact's id is its place: it is left out, for a fact that moves is the same fact. */
export function modelFields(settings: ModelSettings): ModelFields {
  const { ai_mode, ai_provider_id, ai_persona, ai_hours, ai_turns_per_chat, ai_tokens_per_day, ai_disclosure } =
    settings
  const ai_facts = settings.ai_facts.map(({ question, answer }) => ({ question, answer }))
  return {
    ai_mode,
    ai_provider_id,
    ai_persona,
    ai_facts,
    ai_hours,
    ai_turns_per_chat,
    ai_tokens_per_day,
    ai_disclosure,
  }
}
