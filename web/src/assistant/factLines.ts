/** Facts pasted as lines: from a spreadsheet, or written as "question: answer". */
import { LONGEST_FACT_ANSWER, LONGEST_FACT_QUESTION, lengthOf } from '../common/limits'

export interface Fact {
  id: number
  question: string
  answer: string
}

export type NewFact = Omit<Fact, 'id'>

export const MOST_FACTS = 200

export type LineFault = 'noAnswer' | 'long' | 'twice' | 'tooMany'

export interface BadLine {
  line: number
  text: string
  fault: LineFault
}

/** What stands between question and answer, the first kind that a line holds: a tab, a bar, the first question mark or colon. */
function split(line: string): NewFact | null {
  for (const mark of ['\t', '|', '｜']) {
    const at = line.indexOf(mark)
    if (at > 0) return trimmed(line.slice(0, at), line.slice(at + 1))
  }
  const byQuestion = /^(.*?[?？])[\s:：]*(.+)$/.exec(line)
  if (byQuestion) return trimmed(byQuestion[1] ?? '', byQuestion[2] ?? '')
  const byColon = /^(.+?)[:：](?!\/\/)(.+)$/.exec(line)
  return byColon ? trimmed(byColon[1] ?? '', byColon[2] ?? '') : null
}

function trimmed(question: string, answer: string): NewFact | null {
  const fact = { question: question.trim(), answer: answer.trim() }
  return fact.question && fact.answer ? fact : null
}

/** The facts of pasted lines that `known` has room for, and each line that gives none, with its number. */
export function factsOf(pasted: string, known: readonly NewFact[]): { facts: NewFact[]; bad: BadLine[] } {
  const facts: NewFact[] = []
  const bad: BadLine[] = []
  const questions = new Set(known.map((fact) => fact.question))
  for (const [place, raw] of pasted.split(/\r\n|\r|\n/).entries()) {
    const text = raw.trim()
    if (!text) continue
    const fact = split(text)
    const fault = faultOf(fact, questions, known.length + facts.length)
    if (fault || !fact) {
      bad.push({ line: place + 1, text, fault: fault ?? 'noAnswer' })
      continue
    }
    questions.add(fact.question)
    facts.push(fact)
  }
  return { facts, bad }
}

function faultOf(fact: NewFact | null, questions: ReadonlySet<string>, count: number): LineFault | null {
  if (!fact) return 'noAnswer'
  const isLong = lengthOf(fact.question) > LONGEST_FACT_QUESTION || lengthOf(fact.answer) > LONGEST_FACT_ANSWER
  if (isLong) return 'long'
  if (questions.has(fact.question)) return 'twice'
  return count >= MOST_FACTS ? 'tooMany' : null
}
