/** Runs of the model in words. */
import type { Tone } from '../common/ui/ToneMark.vue'
import { labelOf, t } from '../i18n'
import type { Run, RunState } from './shapes'

/** A run that failed before its provider was called cost nothing, and the default reply answered. About an item that is gone none is. */
export type Outcome = RunState | 'not_called'

export const OUTCOME_TONES: Record<Outcome, Tone> = {
  asked: 'busy',
  answered: 'good',
  drafted: 'busy',
  blocked: 'bad',
  handed_off: 'warn',
  silent: 'muted',
  failed: 'bad',
  not_called: 'warn',
  superseded: 'muted',
  dropped: 'muted',
}

export const outcomeOf = (run: Pick<Run, 'state' | 'called'>): Outcome =>
  run.called || run.state !== 'failed' ? run.state : 'not_called'

/** The filters of the API for an outcome, or for all. */
export function filtersOf(outcome: string): { state?: string; called?: boolean } {
  if (outcome === 'not_called') return { state: 'failed', called: false }
  return outcome === 'failed' ? { state: outcome, called: true } : { state: outcome || undefined }
}

/** Which check stopped it and why, as far as there is anything to say. */
export function reasonOf(run: Pick<Run, 'rail' | 'why'>): string {
  const rail = run.rail ? t('runs.rail', { rail: labelOf('runs.rails', run.rail) }) : ''
  const why = run.why ? labelOf('runs.why', run.why) : ''
  return [rail, why].filter(Boolean).join(' · ')
}

/** Why a draft is no longer there, for the one who looked at it. */
export function goneBecause(run: Pick<Run, 'state' | 'why'> | null): string {
  if (run?.state === 'answered' || run?.state === 'dropped') return t(`runs.goneWhy.${run.state}`)
  return run?.state === 'superseded' ? labelOf('runs.why', run.why, t('runs.goneWhy.other')) : t('runs.goneWhy.other')
}

/** A failure of a provider in words: its name, with the status of HTTP where there is one. */
export function failureWords(failure: string): string {
  const [name = '', status = ''] = failure.split(' ', 2)
  // The rails have a reason of that name too, about an amount.
  const known = labelOf('runs.why', name === 'unreadable' ? 'bad_output' : name, '')
  return known ? [known, status].filter(Boolean).join(' ') : failure
}
