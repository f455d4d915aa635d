// What is written on a page with less than 4.5 : 1 between it and its ground, by the computed styles alone. It decides
// also where axe leaves it open, because of what is drawn over or under a text.
() => {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = 1
  const brush = canvas.getContext('2d', { willReadFrequently: true })
  const known = new Map()

  /** Red, green, blue and opacity of any colour that a style can name. */
  const parsed = (colour) => {
    if (!known.has(colour)) {
      brush.clearRect(0, 0, 1, 1)
      brush.fillStyle = colour
      brush.fillRect(0, 0, 1, 1)
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data
      known.set(colour, [r, g, b, a / 255])
    }
    return known.get(colour)
  }
  const over = (top, below, opacity = 1) => {
    const alpha = top[3] * opacity
    return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha)).concat(1)
  }
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const value = part / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x)
    return (light + 0.05) / (dark + 0.05)
  }

  /** The ground below an element, and what is left of the element's own colour by the opacities around it. */
  const standing = (element) => {
    const chain = []
    for (let one = element; one; one = one.parentElement) chain.unshift(getComputedStyle(one))
    let ground = [255, 255, 255, 1]
    let opacity = 1
    for (const style of chain) {
      opacity *= Number(style.opacity)
      ground = over(parsed(style.backgroundColor), ground, opacity)
    }
    return { ground, opacity }
  }

  const OFF =
    '[disabled], [aria-disabled=true], [inert], .hidden-text, .n-button--disabled, .n-input--disabled, .n-base-selection--disabled'
  const isOff = (element) => element.closest(OFF)
  const isSeen = (element, box) =>
    box.width > 1 && box.height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true })

  const found = []
  const judge = (element, colour, words) => {
    if (!parsed(colour)[3]) return // a placeholder that stands beside its field as a text of its own
    const { ground, opacity } = standing(element)
    const value = ratio(over(parsed(colour), ground, opacity), ground)
    if (value < 4.5) found.push(`contrast ${value.toFixed(2)}: "${words.trim().slice(0, 40)}" in ${element.outerHTML.slice(0, 120)}`)
  }

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const range = document.createRange()
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement
    if (!text.data.trim() || isOff(element) || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(element.tagName)) continue
    range.selectNodeContents(text)
    if (isSeen(element, range.getBoundingClientRect())) judge(element, getComputedStyle(element).color, text.data)
  }
  for (const field of document.querySelectorAll('input, textarea')) {
    if (isOff(field) || !isSeen(field, field.getBoundingClientRect())) continue
    if (field.value) judge(field, getComputedStyle(field).color, field.value)
    else if (field.placeholder) judge(field, getComputedStyle(field, '::placeholder').color, field.placeholder)
  }
  return found
}
