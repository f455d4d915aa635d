/** Money of the model: prices in fen per million tokens, costs in millionths of a fen, both read by people in yuan. */
import { languageTag } from '../i18n'

const FEN_A_YUAN = 100
const MICROFEN_A_YUAN = 100_000_000
/** Less than this is written as "less than": a call costs a fraction of a fen. */
const LEAST_YUAN = 0.0001

const yuanText = (yuan: number, digits: number): string =>
  new Intl.NumberFormat(languageTag.value, {
    style: 'currency',
    currency: 'CNY',
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: Math.min(2, digits),
    maximumFractionDigits: digits,
  }).format(yuan)

/** A cost: with as many digits as mean something, never "¥0.00" for what cost anything. */
export function costText(microfen: number): string {
  const yuan = microfen / MICROFEN_A_YUAN
  if (yuan > 0 && yuan < LEAST_YUAN) return `< ${yuanText(LEAST_YUAN, 4)}`
  return yuanText(yuan, yuan > 0 && yuan < 0.1 ? 4 : 2)
}

/** A price or limit in fen, in yuan. */
export const fenText = (fen: number): string => yuanText(fen / FEN_A_YUAN, 2)

/** What a field in yuan shows. */
export const toYuan = (fen: number | null): number | null => (fen === null ? null : fen / FEN_A_YUAN)

/** What is stored of a field in yuan. */
export const toFen = (yuan: number | null): number | null => (yuan === null ? null : Math.round(yuan * FEN_A_YUAN))

/** A cost as a number of yuan, for a chart. */
export const costYuan = (microfen: number): number => microfen / MICROFEN_A_YUAN
