/** Podman and the bare floor at one size: the steps of the small benchmark, under this suite's names. */
import type { Row as BasicRow, Contestant, StepName } from "../contest.js";
import type { Peer } from "../podman.js";
import type { Name, Note, Row, Trial } from "./trials.js";

interface Step {
  readonly name: Name;
  readonly sizeMib: number;
  readonly group: string;
  readonly isSlow?: boolean;
  readonly step: StepName;
  /** Rows of this suite for those of the step. */
  readonly as: Partial<Record<BasicRow, Row>>;
  /** What follows from several of the step's times. */
  readonly more?: (times: ReadonlyMap<BasicRow, number>, note: Note) => void;
}

function trialOf(contestant: Contestant, { step, as, more, ...trial }: Step): Trial {
  return {
    ...trial,
    async work(note) {
      const times = new Map<BasicRow, number>();
      const noteAs = (row: BasicRow, ms: number) => {
        times.set(row, ms);
        const name = as[row];
        if (name !== undefined) note(name, row === "fork16" ? ms / 16 : ms);
      };
      await contestant.steps[step]({
        note: noteAs,
        async time(row, work) {
          const started = performance.now();
          const result = await work();
          noteAs(row, performance.now() - started);
          return result;
        },
      });
      more?.(times, note);
    },
  };
}

export interface OtherOptions {
  readonly sizeMib: number;
  /** Of all sizes: what is measured at one size only is measured there. */
  readonly isSmallest: boolean;
  /** Of a fork of many. */
  readonly clones: number;
}

/** Clones of podman's after the first whose memory is measured: they share nothing. */
const memoryClones = 2;
const mib = 1024 * 1024;

export function podmanTrials(peer: Peer, { sizeMib, isSmallest, clones }: OtherOptions): Trial[] {
  const given = { name: "podman", sizeMib, isSlow: true } as const;
  const forks = trialOf(peer, {
    ...given,
    group: "fork",
    step: "fork",
    as: { fork: "fork", clone: "clone" },
    // Its dumps are always of everything, so this is also what it takes where little was changed.
    more(times, note) {
      const [all, clone] = [times.get("fork") ?? Number.NaN, times.get("clone") ?? Number.NaN];
      note("changedFork", all);
      note("changedCheckpoint", all - clone);
    },
  });
  const pauses = trialOf(peer, {
    ...given,
    group: "pause",
    step: "pauseResume",
    as: { pause: "pause", resume: "resume" },
    more: (times, note) => note("changedPause", times.get("pause") ?? Number.NaN),
  });
  const memory: Trial = {
    ...{ name: "podman", sizeMib, group: "memory", isSlow: true },
    async work(note) {
      const { first, more } = await peer.memoryOfClones(memoryClones);
      note("memoryFirst", first / mib);
      note("memoryMany", more / mib);
    },
  };
  if (!isSmallest) return [forks, pauses, memory];
  const many: Trial = {
    ...{ name: "podman", sizeMib, group: `fork ${clones}`, isSlow: true },
    work: async (note) => note("forkMany", (await peer.forkMany(clones)) / clones),
  };
  return [
    forks,
    pauses,
    memory,
    many,
    trialOf(peer, { ...given, group: "fork 16", step: "fork16", as: { fork16: "fork16" } }),
    trialOf(peer, { ...given, group: "claim", step: "cold", as: { cold: "claim" } }),
  ];
}

export function floorTrials(
  floor: Contestant,
  { sizeMib, isSmallest }: Omit<OtherOptions, "clones">,
): Trial[] {
  const given = { name: "floor", sizeMib } as const;
  const trials = [
    trialOf(floor, {
      ...given,
      group: "fork",
      step: "template",
      as: { template: "clone", criuAlone: "criuAlone" },
    }),
    trialOf(floor, { ...given, group: "fork", step: "checkpoint", as: { checkpoint: "freeze" } }),
  ];
  if (isSmallest)
    trials.push(trialOf(floor, { ...given, group: "claim", step: "cold", as: { cold: "claim" } }));
  return trials;
}
