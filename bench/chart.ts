/** Curves as SVG, drawn without a browser. */
import { init } from "echarts";

export interface Curve {
  readonly name: string;
  /** One for each category; undefined where nothing was measured. */
  readonly values: readonly (number | undefined)[];
}

export interface Chart {
  readonly title: string;
  readonly kind: "line" | "bar";
  readonly x: string;
  readonly y: string;
  readonly categories: readonly string[];
  readonly curves: readonly Curve[];
  readonly isLogarithmic?: boolean;
}

const size = { width: 760, height: 420 };

export function drawSvg({ title, kind, x, y, categories, curves, isLogarithmic = false }: Chart): string {
  const chart = init(undefined, undefined, { renderer: "svg", ssr: true, ...size });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, left: "center", textStyle: { fontSize: 15 } },
    legend: { bottom: 0 },
    grid: { left: 70, right: 30, top: 60, bottom: 70 },
    xAxis: { type: "category", name: x, nameLocation: "middle", nameGap: 28, data: [...categories] },
    yAxis: { type: isLogarithmic ? "log" : "value", name: y },
    series: curves.map(({ name, values }) => ({
      ...{ name, type: kind, connectNulls: true },
      data: values.map((value) => (value === undefined ? null : Number(value.toPrecision(4)))),
      label: { show: categories.length <= 6, position: "top", fontSize: 10 },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
