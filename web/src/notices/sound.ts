/** Two short tones. Browsers sound only after the page was touched once; until then they are silent. */
const TONES = [880, 1175]
const SECONDS = 0.16

let context: AudioContext | undefined

/** To be called at a touch: from then on the page may sound. */
export function unlockSound(): void {
  if (typeof AudioContext === 'undefined') return
  context ??= new AudioContext()
  if (context.state === 'suspended') void context.resume().catch(() => {})
}

/** Sound. Returns whether the browser plays it. */
export function play(): boolean {
  if (context?.state !== 'running') return false
  for (const [place, tone] of TONES.entries()) {
    const start = context.currentTime + place * SECONDS
    const voice = context.createOscillator()
    const volume = context.createGain()
    voice.frequency.value = tone
    volume.gain.setValueAtTime(0.18, start)
    volume.gain.exponentialRampToValueAtTime(0.001, start + SECONDS * 1.6)
    voice.connect(volume).connect(context.destination)
    voice.start(start)
    voice.stop(start + SECONDS * 1.6)
  }
  return true
}
