/** Rounds in which the contestants take the same steps side by side, and what comes out of them. */
import { delay } from "../src/lib/signal.js";
import { run } from "./run.js";

export const contestantNames = ["ours", "podman", "floor"] as const;
export type ContestantName = (typeof contestantNames)[number];

/** In the order of the table. */
export const rows = {
  cold: "create, cold",
  template: "create from template",
  criuAlone: "  CRIU alone, by its log",
  checkpoint: "checkpoint",
  checkpointRunning: "checkpoint, runc of a running source",
  checkpointPlain: "checkpoint, podman uncompressed",
  frozen: "  source frozen",
  clone: "fork 1: the clone",
  fork: "fork 1: dump and clone",
  fork16: "fork 16: dump and clones",
  pause: "pause",
  resume: "resume",
} as const;
export type Row = keyof typeof rows;

/** Milliseconds of each counted round. */
export type Samples = ReadonlyMap<Row, ReadonlyMap<ContestantName, readonly number[]>>;

export interface Recorder {
  /** Times the work. */
  time<T>(row: Row, work: () => Promise<T>): Promise<T>;
  /** Takes a time that somebody else has measured, in milliseconds. */
  note(row: Row, ms: number): void;
}

/**
 * What a paused sandbox does for a moment: what a pause clears away once it has answered would count again in a resume
 * that comes at once.
 */
export const rest = (): Promise<void> => delay(500);

export const stepNames = ["cold", "template", "checkpoint", "fork", "fork16", "pauseResume"] as const;
export type StepName = (typeof stepNames)[number];

/** Each step leaves behind what it found; what it starts and removes besides the timed work is not counted. */
export interface Contestant {
  readonly name: ContestantName;
  readonly steps: Readonly<Record<StepName, (recorder: Recorder) => Promise<void>>>;
}

export interface Contest {
  readonly rounds: number;
  readonly onRound: (round: number) => void;
}

/** One warm-up round, then those that count. Who goes first changes from round to round. */
export async function compete(
  contestants: readonly Contestant[],
  { rounds, onRound }: Contest,
): Promise<Samples> {
  const samples = new Map<Row, Map<ContestantName, number[]>>();
  for (let round = 0; round <= rounds; round++) {
    onRound(round);
    const order = contestants.map((_, index) => contestants[(index + round) % contestants.length]);
    for (const step of stepNames) {
      for (const contestant of order) {
        if (contestant === undefined) continue;
        const record = round === 0 ? () => {} : into(samples, contestant.name);
        // Nobody pays for what another has left to be written: a sync of one's own waits for it as well.
        await run("sync", []);
        await contestant.steps[step](recorderOf(record));
      }
    }
  }
  return samples;
}

type Record_ = (row: Row, ms: number) => void;

function into(samples: Map<Row, Map<ContestantName, number[]>>, name: ContestantName): Record_ {
  return (row, ms) => {
    const byName = samples.get(row) ?? new Map<ContestantName, number[]>();
    samples.set(row, byName);
    byName.set(name, [...(byName.get(name) ?? []), ms]);
  };
}

function recorderOf(record: Record_): Recorder {
  return {
    note: record,
    async time(row, work) {
      const started = performance.now();
      const result = await work();
      record(row, performance.now() - started);
      return result;
    },
  };
}
