/** What the registry's own work costs, apart from what is simulated around it. */
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** Single decisions, by the clock on the wall: what a caller waits for, on a busy machine too. */
export const decisions = ["choose", "record"] as const;
export type Decision = (typeof decisions)[number];

/** Processor time of all that is done for a reason, garbage collection included. */
export const works = ["claims", "expiry", "beats", "pools"] as const;
export type Work = (typeof works)[number];

export interface Meter {
  decision<T>(decision: Decision, run: () => T): T;
  work(work: Work, run: () => void): void;
  /** Milliseconds. */
  latency(decision: Decision): { readonly count: number; readonly p50: number; readonly p99: number };
  cpuMs(work: Work): number;
}

export function createMeter(): Meter {
  const histograms = new Map<Decision, RecordableHistogram>(
    decisions.map((each) => [each, createHistogram()]),
  );
  const totals = new Map<Work, number>();
  return {
    decision(decision, run) {
      const started = performance.now();
      const result = run();
      histograms.get(decision)?.record(Math.max(1, Math.round((performance.now() - started) * 1e6)));
      return result;
    },
    work(work, run) {
      const started = process.cpuUsage();
      run();
      const { user, system } = process.cpuUsage(started);
      totals.set(work, (totals.get(work) ?? 0) + (user + system) / 1_000);
    },
    latency(decision) {
      const histogram = histograms.get(decision);
      const percentile = (share: number) => (histogram?.percentile(share) ?? 0) / 1e6;
      return { count: histogram?.count ?? 0, p50: percentile(50), p99: percentile(99) };
    },
    cpuMs: (work) => totals.get(work) ?? 0,
  };
}
