/** Progress on standard error: one line that rewrites itself on a terminal, one line per step elsewhere. */
import { formatBytes } from "./format.js";
import type { OutputStream } from "./io.js";

export interface Step {
  readonly label: string;
  readonly done?: number;
  /** 0 or absent: not known. */
  readonly total?: number;
  readonly unit?: "bytes" | "count";
}

export interface Progress extends Disposable {
  show(step: Step): void;
}

const barWidth = 24;
/** Faster redraws only flicker. */
const redrawMs = 50;

export function showProgress(stream: OutputStream, isQuiet: boolean): Progress {
  if (isQuiet) return { show() {}, [Symbol.dispose]() {} };
  return stream.isTTY === true ? onTerminal(stream) : inLines(stream);
}

function onTerminal(stream: OutputStream): Progress {
  let drawnAt = 0;
  let label = "";
  return {
    show(step) {
      const now = Date.now();
      const isNews = step.label !== label || isComplete(step);
      if (!isNews && now - drawnAt < redrawMs) return;
      drawnAt = now;
      label = step.label;
      stream.write(`\r\x1b[2K${drawStep(step).slice(0, (stream.columns ?? 80) - 1)}`);
    },
    [Symbol.dispose]() {
      if (drawnAt > 0) stream.write("\r\x1b[2K");
    },
  };
}

function inLines(stream: OutputStream): Progress {
  let label = "";
  return {
    show(step) {
      if (step.label === label) return;
      label = step.label;
      stream.write(`${step.label}\n`);
    },
    [Symbol.dispose]() {},
  };
}

function isComplete({ done = 0, total = 0 }: Step): boolean {
  return total > 0 && done >= total;
}

/** `fetching  [#########---------------]  12.0 MiB of 31.2 MiB` */
export function drawStep({ label, done = 0, total = 0, unit = "bytes" }: Step): string {
  const amount = (value: number) => (unit === "bytes" ? formatBytes(value) : String(value));
  if (total > 0) {
    const filled = Math.round(barWidth * Math.min(1, done / total));
    const bar = "#".repeat(filled).padEnd(barWidth, "-");
    return `${label}  [${bar}]  ${amount(done)} of ${amount(total)}`;
  }
  return done > 0 ? `${label}  ${amount(done)}` : `${label} …`;
}
