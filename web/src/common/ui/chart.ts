/** The drawing of charts over time, in the colours of the page: lines, or bars that stand on one another. */
import { BarChart, LineChart } from 'echarts/charts'
import { GridComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { languageTag } from '../../i18n'

use([BarChart, LineChart, GridComponent, TooltipComponent, CanvasRenderer])

export interface Series {
  name: string
  tone: 'accent' | 'good' | 'bad' | 'warn' | 'violet' | 'muted'
  values: number[]
}

export interface Chart {
  show(times: string[], series: Series[], days: boolean): void
  end(): void
}

/** What failed is drawn where something did, with its feet: a red line along zero says that something is wrong. */
const peaks = (values: number[]): (number | null)[] =>
  values.map((value, at) => (value || values[at - 1] || values[at + 1] ? value : null))

/** The first line lies on top. */
const line = ({ name, tone, values }: Series, colour: string, place: number) => ({
  name,
  type: 'line' as const,
  z: 10 - place,
  data: tone === 'bad' ? peaks(values) : values,
  smooth: 0.35,
  smoothMonotone: 'x' as const,
  symbol: 'circle',
  showSymbol: false,
  lineStyle: { width: 2, color: colour },
  itemStyle: { color: colour },
  areaStyle: tone === 'accent' ? { color: colour, opacity: 0.08 } : undefined,
})

const bar = ({ name, values }: Series, colour: string) => ({
  name,
  type: 'bar' as const,
  stack: 'all',
  barMaxWidth: 22,
  data: values,
  itemStyle: { color: colour },
})

/** `figure`: how a value is told; without it the values are whole numbers. */
export function draw(place: HTMLElement, kind: 'lines' | 'bars' = 'lines', figure?: (value: number) => string): Chart {
  const chart = init(place)
  const watcher = new ResizeObserver(() => chart.resize())
  watcher.observe(place)

  function show(times: string[], series: Series[], days: boolean): void {
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim()
    const short = new Intl.DateTimeFormat(
      languageTag.value,
      days ? { month: 'numeric', day: 'numeric' } : { hour: '2-digit', minute: '2-digit', hour12: false },
    )
    const axis = { axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: colour('muted') } }
    chart.setOption(
      {
        animation: false,
        textStyle: { fontFamily: getComputedStyle(place).fontFamily },
        grid: { left: 4, right: 10, top: 14, bottom: 2, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
        tooltip: {
          trigger: 'axis',
          confine: true,
          backgroundColor: colour('raised'),
          borderColor: colour('border'),
          textStyle: { color: colour('text'), fontSize: 13 },
          valueFormatter: (value: unknown) => (figure ? figure(Number(value)) : String(value ?? 0)),
        },
        xAxis: {
          ...axis,
          type: 'category',
          boundaryGap: kind === 'bars',
          data: times.map((time) => short.format(new Date(time))),
        },
        yAxis: {
          ...axis,
          type: 'value',
          ...(figure ? { axisLabel: { color: colour('muted'), formatter: figure } } : { minInterval: 1 }),
          splitNumber: 4,
          splitLine: { lineStyle: { color: colour('line') } },
        },
        series: series.map((one, place) =>
          kind === 'bars' ? bar(one, colour(one.tone)) : line(one, colour(one.tone), place),
        ),
      },
      true,
    )
  }

  return {
    show,
    end() {
      watcher.disconnect()
      chart.dispose()
    },
  }
}
