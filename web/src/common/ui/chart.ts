/** The drawing of charts over time, in the colours of the page: lines, or bars that stand on one another. */
import { BarChart, type BarSeriesOption, LineChart, type LineSeriesOption } from 'echarts/charts'
import { GridComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { languageTag } from '../../i18n'
import { halves, isRunning } from './dashed'

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
function lines({ name, tone, values }: Series, colour: string, place: number, running: boolean) {
  const base = {
    name,
    type: 'line' as const,
    z: 10 - place,
    symbol: 'circle',
    showSymbol: false,
    itemStyle: { color: colour },
  }
  const [whole, dashed] = halves(tone === 'bad' ? peaks(values) : values, running)
  const areaStyle = tone === 'accent' ? { color: colour, opacity: 0.08 } : undefined
  const solid = { ...base, data: whole, smooth: 0.35, smoothMonotone: 'x' as const, areaStyle }
  return [
    { ...solid, lineStyle: { width: 2, color: colour } },
    ...(dashed.length ? [{ ...base, data: dashed, lineStyle: { width: 2, color: colour, type: [4, 4] } }] : []),
  ]
}

interface Pointed {
  axisValueLabel?: string
  seriesName?: string
  value?: unknown
  color?: unknown
}

/** The tooltip of a point. Where the dashed part of a line begins, its other part has the same value. */
function tooltipOf(points: Pointed[], figure: (value: unknown) => string): HTMLElement {
  const box = document.createElement('div')
  box.append(points[0]?.axisValueLabel ?? '')
  const known = new Set<string>()
  for (const { seriesName = '', value, color } of points) {
    if (value === null || value === undefined || known.has(seriesName)) continue
    known.add(seriesName)
    const row = document.createElement('div')
    const dot = document.createElement('i')
    dot.style.cssText = 'display:inline-block;width:9px;height:9px;margin-right:7px;border-radius:50%'
    dot.style.background = String(color)
    row.append(dot, `${seriesName}  ${figure(value)}`)
    box.append(row)
  }
  return box
}

const bar = ({ name, values }: Series, colour: string) => ({
  name,
  type: 'bar' as const,
  stack: 'all',
  barMaxWidth: 22,
  data: values,
  itemStyle: { color: colour },
})

/** `figure`: how a value is written; without it the values are whole numbers. */
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
    const textOf = (value: unknown): string => (figure ? figure(Number(value)) : String(value))
    const running = kind === 'lines' && isRunning(times, Date.now())
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
          formatter: (points: unknown) => tooltipOf(points as Pointed[], textOf),
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
        series: series.flatMap((one, place): (BarSeriesOption | LineSeriesOption)[] =>
          kind === 'bars' ? [bar(one, colour(one.tone))] : lines(one, colour(one.tone), place, running),
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
