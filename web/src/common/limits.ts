/** How many characters the server takes in each text; `tests/guards/test_console_limits.py` compares them with it. */

/** A message to a buyer: of a rule, of a delivery, by hand. */
export const LONGEST_MESSAGE = 4_000
/** Of a delivery rule. */
export const LONGEST_TITLE_PART = 100
export const LONGEST_SPEC = 200
export const LONGEST_GOODS_TEXT = 2_000
export const LONGEST_SUPPLIER_BODY = 8_000
export const LONGEST_NOTE = 2_000
export const LONGEST_PERSONA = 2_000
export const LONGEST_ITEM_FACTS = 2_000
export const LONGEST_FACT_QUESTION = 200
export const LONGEST_FACT_ANSWER = 500
/** A buyer's message, when rules and filters are tried. */
export const LONGEST_RECEIVED = 10_000
/** The same, when a language model is tried. */
export const LONGEST_QUESTION = 4_000

/** Characters as the server counts them: an emoji is one. */
export const lengthOf = (text: string): number => [...text].length
