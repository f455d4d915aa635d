import { onBeforeUnmount, type Ref, watch } from 'vue'

/** Keeps the notes of `app/Toasts.vue` above an element at the lower edge of the page, however high it grows. */
export function keepNotesAbove(element: Ref<HTMLElement | undefined>): void {
  const style = document.documentElement.style
  const observer = new ResizeObserver(() => style.setProperty('--under-notes', `${element.value?.offsetHeight ?? 0}px`))
  watch(
    element,
    (now) => {
      observer.disconnect()
      if (now) observer.observe(now)
      else style.removeProperty('--under-notes')
    },
    { immediate: true },
  )
  onBeforeUnmount(() => {
    observer.disconnect()
    style.removeProperty('--under-notes')
  })
}
