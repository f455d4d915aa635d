/** The drawing of line charts, in the colours of the page. */
import { LineChart } from 'echarts/charts'
import { GridComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { languageTag } from '../../i18n'

use([LineChart, GridComponent, TooltipComponent, CanvasRenderer])

export interface Series {
  name: string
  tone: 'accent' | 'good' | 'bad'
  values: number[]
}

export interface Chart {
  show(times: string[], series: Series[], days: boolean): void
  end(): void
}

export function draw(place: HTMLElement): Chart {
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
        },
        xAxis: {
          ...axis,
          type: 'category',
          boundaryGap: false,
          data: times.map((time) => short.format(new Date(time))),
        },
        yAxis: {
          ...axis,
          type: 'value',
          minInterval: 1,
          splitNumber: 4,
          splitLine: { lineStyle: { color: colour('line') } },
        },
        series: series.map(({ name, tone, values }) => ({
          name,
          type: 'line',
          data: values,
          smooth: 0.35,
          smoothMonotone: 'x',
          symbol: 'circle',
          showSymbol: false,
          lineStyle: { width: 2, color: colour(tone) },
          itemStyle: { color: colour(tone) },
          areaStyle: tone === 'accent' ? { color: colour(tone), opacity: 0.08 } : undefined,
        })),
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
