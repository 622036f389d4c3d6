/** Trials that compete: those of one group run one after another, and who goes first changes from round to round. */
import { run } from "../run.js";

export const names = ["ours", "podman", "floor", "runsc"] as const;
export type Name = (typeof names)[number];

/** In the order of the table. `each`: of one clone. Milliseconds where nothing else is said. */
export const rows = {
  fork: "fork 1: dump and clone",
  forkBeside: "  beside the source's freeze",
  clone: "  the clone alone",
  criuAlone: "  CRIU alone, by its log",
  freeze: "  source frozen",
  fork16: "fork 16, each",
  forkMany: "fork many, each",
  memoryFirst: "memory, first clone, MiB",
  memoryMany: "memory, fork many, each, MiB",
  privateFirst: "  private, first clone, MiB",
  privateLast: "  private, last clone, MiB",
  cgroupLast: "  control group, last clone, MiB",
  claim: "claim, one after another",
  claimMany: "claim, many at once",
  pause: "pause",
  resume: "resume",
  rollback: "rollback in place",
  checkpointCold: "checkpoint of all, cold source",
  changedCheckpoint: "checkpoint, 1 % changed",
  changedPause: "pause, 1 % changed",
  changedFork: "fork 1, 1 % changed",
} as const;
export type Row = keyof typeof rows;

export type Note = (row: Row, value: number) => void;

export interface Trial {
  readonly name: Name;
  readonly sizeMib: number;
  /** Those of one group and one size take turns. */
  readonly group: string;
  /** Takes long: in three rounds at most, and not to warm up. */
  readonly isSlow?: boolean;
  /** Leaves behind what it found. */
  readonly work: (note: Note) => Promise<void>;
}

export interface Sample {
  readonly row: Row;
  readonly sizeMib: number;
  readonly name: Name;
  readonly value: number;
}

export interface Failure {
  readonly trial: string;
  readonly message: string;
}

export interface Outcome {
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
}

export interface Course {
  readonly rounds: number;
  readonly say: (text: string) => void;
}

const slowRounds = 3;

/** One round to warm up, then those that count. A trial that fails is not tried again; the others go on. */
export async function compete(trials: readonly Trial[], { rounds, say }: Course): Promise<Outcome> {
  const samples: Sample[] = [];
  const failures: Failure[] = [];
  let left = trials;
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? "  warming up" : `  round ${round} of ${rounds}`);
    for (const trial of inTurn(left, round).filter((it) => isDue(it, round))) {
      const taken = await attempt(trial);
      if (typeof taken !== "string") {
        if (round > 0) samples.push(...taken);
        continue;
      }
      left = left.filter((it) => it !== trial);
      failures.push({ trial: titleOf(trial), message: taken });
      say(`  failed: ${titleOf(trial)}: ${taken}`);
    }
  }
  return { samples, failures };
}

function isDue({ isSlow }: Trial, round: number): boolean {
  return isSlow !== true || (round > 0 && round <= slowRounds);
}

/** What it has measured, or why it has not. */
async function attempt({ name, sizeMib, work }: Trial): Promise<Sample[] | string> {
  const taken: Sample[] = [];
  try {
    // Nobody pays for what another has left to be written.
    await run("sync", []);
    await work((row, value) => taken.push({ row, sizeMib, name, value }));
    return taken;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const titleOf = ({ group, sizeMib, name }: Trial) => `${group} of ${sizeMib} MiB, ${name}`;

function inTurn(trials: readonly Trial[], round: number): Trial[] {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    const key = `${trial.group} ${trial.sizeMib}`;
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups.values()].flatMap((group) => {
    const start = round % group.length;
    return [...group.slice(start), ...group.slice(0, start)];
  });
}
