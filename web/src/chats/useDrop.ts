/** Files that are dragged over a part of the page and dropped there. Texts and links that are dragged are left alone. */
import { ref } from 'vue'

export function useDrop(dropped: (files: File[]) => void) {
  const isOver = ref(false)
  /** Each element inside reports coming and going, too: they are counted. */
  let depth = 0

  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false

  function set(next: number): void {
    depth = Math.max(0, next)
    isOver.value = depth > 0
  }

  const on = {
    dragenter(event: DragEvent): void {
      if (hasFiles(event)) set(depth + 1)
    },
    dragover(event: DragEvent): void {
      if (hasFiles(event)) event.preventDefault()
    },
    dragleave(event: DragEvent): void {
      if (hasFiles(event)) set(depth - 1)
    },
    drop(event: DragEvent): void {
      if (!hasFiles(event)) return
      event.preventDefault()
      set(0)
      dropped([...(event.dataTransfer?.files ?? [])])
    },
  }

  return { isOver, on }
}
