/** The settings of a shop that hold for answers of every kind. */
import type { Account } from '../common/api'

export type AnswerFields = Pick<
  Account['desired'],
  | 'opening_hours'
  | 'holidays'
  | 'away_reply'
  | 'handoff_words'
  | 'handoff_reply'
  | 'filter_contacts'
  | 'filter_links'
  | 'filter_patterns'
  | 'price_floor_fen'
>
export type AnswerField = keyof AnswerFields

/** Those settings of a shop. */
export function answerFields(desired: Account['desired']): AnswerFields {
  const { opening_hours, holidays, away_reply, handoff_words, handoff_reply } = desired
  const { filter_contacts, filter_links, filter_patterns, price_floor_fen } = desired
  return {
    opening_hours,
    holidays,
    away_reply,
    handoff_words,
    handoff_reply,
    filter_contacts,
    filter_links,
    filter_patterns,
    price_floor_fen,
  }
}
