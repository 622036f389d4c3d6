/** What many samples come to, and whether it is what was wanted. Pure. */

export interface Figure {
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly samples: readonly number[];
}

export function figureOf(samples: readonly number[]): Figure | undefined {
  if (samples.length === 0) return undefined;
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
    samples,
  };
}

/** Between the two nearest of a sorted list. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export interface Target {
  readonly what: string;
  /** Undefined: not measured. */
  readonly value: number | undefined;
  readonly atMost: number;
  /** Empty for a ratio. */
  readonly unit: string;
}

export function isMet({ value, atMost }: Target): boolean {
  return value !== undefined && value <= atMost;
}

export function formatTarget(target: Target): string {
  const { what, value, atMost, unit } = target;
  const after = unit === "" ? "" : ` ${unit}`;
  if (value === undefined) return `-       ${what}: not measured, wanted at most ${atMost}${after}`;
  const verdict = isMet(target) ? "met   " : "MISSED";
  return `${verdict}  ${what}: ${formatNumber(value)}${after}, wanted at most ${atMost}${after}`;
}

/** Three digits. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}
