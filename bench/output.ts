/** The directory that a suite leaves its results in. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Chart, drawSvg } from "./chart.js";

export interface Results {
  /** Of the suite. */
  readonly name: string;
  readonly report: object;
  readonly table: string;
  /** By the name of their file, without its ending. */
  readonly charts: Readonly<Record<string, Chart>>;
}

export async function writeResults(out: string | undefined, results: Results): Promise<void> {
  const { name, report, table, charts } = results;
  process.stdout.write(`${table}\n`);
  if (out === undefined) return;
  await mkdir(out, { recursive: true });
  await writeFile(join(out, `${name}.json`), `${JSON.stringify(report, undefined, 1)}\n`);
  await writeFile(join(out, `${name}.txt`), `${table}\n`);
  for (const [file, chart] of Object.entries(charts))
    if (chart.categories.length > 0) await writeFile(join(out, `${file}.svg`), drawSvg(chart));
}
