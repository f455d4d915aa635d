/** The shop whose first replies are asked for: one that was just added, or to which the first steps lead. */
import { ref } from 'vue'

/** Its id; empty when none is. The frame shows the dialog, because rules are above this room. */
export const newShop = ref('')
