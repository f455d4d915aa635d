/** A code as a picture that an album takes: the server draws it as SVG, which albums do not. */

const SIDE = 720
const QUIET = 60
const NAME = 'shoal-login.png'

async function drawn(svg: string): Promise<Blob> {
  const image = new Image()
  image.src = svg
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = SIDE
  canvas.height = SIDE
  const pen = canvas.getContext('2d')
  if (!pen) throw new Error('no canvas')
  pen.fillStyle = '#fff'
  pen.fillRect(0, 0, SIDE, SIDE)
  pen.imageSmoothingEnabled = false
  pen.drawImage(image, QUIET, QUIET, SIDE - 2 * QUIET, SIDE - 2 * QUIET)
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/png'),
  )
}

/** Hand the picture to the phone's own sheet, from where it goes to the album; elsewhere save it as a file. */
export async function savePicture(svg: string): Promise<void> {
  const file = new File([await drawn(svg)], NAME, { type: 'image/png' })
  if (navigator.canShare?.({ files: [file] })) {
    await navigator.share({ files: [file] }).catch((error: unknown) => {
      if (!(error instanceof DOMException && error.name === 'AbortError')) throw error
    })
    return
  }
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = NAME
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
