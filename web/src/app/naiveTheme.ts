/** The look of the component library, light and dark. */
import { darkTheme, type GlobalTheme, type GlobalThemeOverrides } from 'naive-ui'
import { computed } from 'vue'
import { isNarrow } from '../common/narrow'
import { isDark } from '../common/theme'

const FONT =
  'Inter, system-ui, -apple-system, "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif'

const shape = { borderRadius: '8px', borderRadiusSmall: '6px', fontFamily: FONT, fontSize: '14px' }

/** How strong the ground of a coloured button is. By the library's own figures its words stand at 4.4 : 1 and less. */
const Button = {
  colorOpacitySecondary: '0.1',
  colorOpacitySecondaryHover: '0.12',
  colorOpacitySecondaryPressed: '0.13',
}

const light: GlobalThemeOverrides = {
  common: {
    ...shape,
    primaryColor: '#2260e0',
    primaryColorHover: '#2f6df0',
    primaryColorPressed: '#1a4fbe',
    primaryColorSuppl: '#2f6df0',
    errorColor: '#b91c1c',
    errorColorHover: '#c92a2a',
    errorColorPressed: '#991b1b',
    warningColor: '#8a5200',
    warningColorHover: '#7a4800',
    warningColorPressed: '#693e00',
    warningColorSuppl: '#8a5200',
    textColorBase: '#171a21',
    textColor3: '#5b6475',
    placeholderColor: '#6b7385',
    borderColor: '#dfe2e8',
    dividerColor: '#e8eaef',
  },
  Button,
  Checkbox: { borderRadius: '5px', border: '1px solid #9097a6' },
  Switch: { railColorActive: '#2260e0', railColor: '#8d94a3' },
}

const dark: GlobalThemeOverrides = {
  common: {
    ...shape,
    primaryColor: '#6c9cff',
    primaryColorHover: '#85adff',
    primaryColorPressed: '#4f83f0',
    primaryColorSuppl: '#4f83f0',
    errorColor: '#ff8d85',
    errorColorHover: '#ffa59f',
    errorColorPressed: '#f07068',
    warningColor: '#f3b759',
    warningColorHover: '#f8c878',
    warningColorPressed: '#e0a548',
    warningColorSuppl: '#f3b759',
    bodyColor: '#0f1218',
    cardColor: '#171b23',
    modalColor: '#1b2029',
    popoverColor: '#222834',
    inputColor: '#11151c',
    textColor3: '#9aa3b4',
    placeholderColor: '#8891a3',
    borderColor: '#2e3542',
    dividerColor: '#262c37',
  },
  Button,
  Checkbox: { borderRadius: '5px', border: '1px solid #5d6677' },
  Input: { border: '1px solid #323a48' },
  InternalSelection: { border: '1px solid #323a48' },
  Switch: { railColorActive: '#3d74ea', railColor: '#4a5160' },
}

export const naiveTheme = computed<GlobalTheme | null>(() => (isDark.value ? darkTheme : null))
/** What a finger meets on a phone is larger. */
const FINGER = { heightSmall: '40px', heightMedium: '44px', heightLarge: '48px' }

export const naiveOverrides = computed<GlobalThemeOverrides>(() => {
  const chosen = isDark.value ? dark : light
  return isNarrow.value ? { ...chosen, common: { ...chosen.common, ...FINGER } } : chosen
})
