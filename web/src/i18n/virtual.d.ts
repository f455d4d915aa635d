/** A part of the texts in one language; `vite.config.mts` makes it of `zh.ts` and `en.ts`. */
declare module 'virtual:texts/*' {
  const texts: Record<string, unknown>
  export default texts
}
