/** The specs of an item beside what is typed as one: only a hint, the server compares. */

/** A spec for comparison: blanks, width, case and the order of its pairs do not count. */
export function folded(spec: string): string {
  const pairs = spec.normalize('NFKC').toLowerCase().split(';')
  const trimmed = pairs.map((pair) =>
    pair
      .split(':')
      .map((part) => part.trim())
      .join(':'),
  )
  return [...new Set(trimmed.filter((pair) => pair && pair !== ':'))].sort().join(';')
}

/** The spec of the item that is meant: a value alone stands for the one property that has it. Nothing: it has none. */
export function meant(spec: string, specs: string[]): string | undefined {
  const properties = [...new Set(specs.flatMap((one) => folded(one).split(';')))]
  const parts = folded(spec)
    .split(';')
    .map((part) => {
      const having = properties.filter((one) => one.slice(one.indexOf(':') + 1) === part && one !== part)
      return properties.includes(part) || having.length !== 1 ? part : having[0]
    })
  return specs.find((one) => folded(one) === folded(parts.join(';')))
}
