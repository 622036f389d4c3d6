/** The agent's part: sources of one size, all from one template, and what is done with them. */

import type { Api } from "../../src/cli/client.js";
import { mapLimited } from "../../src/lib/limit.js";
import { rest } from "../contest.js";
import { changeOnePercent, digestOf, holderOf, waitUntilReady } from "../holder.js";
import { descendants, memoryOf, settledMeminfo, taken } from "../memory.js";
import { buildTemplate, fromTemplate, startCold } from "../ours.js";
import type { Stage } from "../stage.js";
import type { Note, Trial } from "./trials.js";

const mib = 1024 * 1024;

export interface OursOptions {
  readonly sizeMib: number;
  readonly clones: number;
  /** With what is measured at few sizes only: pauses, rollbacks, changed sources. */
  readonly withChanges: boolean;
  /** With a source whose memory nobody shares. */
  readonly withCold: boolean;
  /** Fork many at this size. */
  readonly withMany: boolean;
}

export interface Ours extends AsyncDisposable {
  readonly template: string;
  readonly goldenCheckpoint: string;
  readonly donor: string;
  readonly trials: readonly Trial[];
}

interface Clone {
  readonly id: string;
  /** Of its guest, on the host. */
  readonly pid: number;
}

interface Fork {
  readonly freezeMs: number;
  readonly totalMs: number;
  readonly clones: readonly Clone[];
  readonly cloneMs: readonly number[];
}

export async function openOurs({ api, image }: Stage, options: OursOptions): Promise<Ours> {
  const { sizeMib, withChanges, withCold, withMany } = options;
  const workload = holderOf(sizeMib);
  const template = `bench-${sizeMib}`;
  const goldenCheckpoint = await buildTemplate(api, { name: template, image, workload });
  const sandboxes: string[] = [];
  const open = async (made: Promise<string>) => {
    const id = await made;
    sandboxes.push(id);
    return id;
  };
  const source = await open(fromTemplate(api, template));
  const donor = await open(fromTemplate(api, template));
  const digest = await digestOf(api, source);
  const given = { api, sizeMib, digest };
  const trials = [forkTrial(given, source), fork16Trial(given, source)];
  if (withMany) trials.push(manyTrial(given, source, options.clones));
  if (withChanges) {
    const mover = await open(fromTemplate(api, template));
    const { checkpoint } = await api.checkpoints.create({ sandbox: mover });
    trials.push(moveTrial(given, mover), rollbackTrial(given, mover, checkpoint?.id ?? ""));
    const changed = await open(fromTemplate(api, template));
    await changeOnePercent(api, changed);
    trials.push(...changedTrials(given, changed));
  }
  if (withCold) {
    const cold = await open(startCold(api, image, workload));
    await waitUntilReady(api, cold);
    trials.push(coldTrial(given, cold));
  }
  return {
    ...{ template, goldenCheckpoint, donor, trials },
    async [Symbol.asyncDispose]() {
      for (const id of sandboxes) await remove(api, id);
      await api.templates.delete({ name: template });
    },
  };
}

interface Given {
  readonly api: Api;
  readonly sizeMib: number;
  /** Of what the template's process holds. */
  readonly digest: string;
}

type Work = Pick<Trial, "group" | "work"> & { readonly isSlow?: boolean };

const trialOf = ({ sizeMib }: Given, work: Work): Trial => ({ name: "ours", sizeMib, ...work });

export async function remove(api: Api, sandbox: string): Promise<void> {
  await api.sandboxes.delete({ sandbox, force: true });
}

async function fork(api: Api, sandbox: string, count: number): Promise<Fork> {
  const started = performance.now();
  let freezeMs = Number.NaN;
  const clones: Clone[] = [];
  const cloneMs: number[] = [];
  const errors: string[] = [];
  for await (const { event } of api.sandboxes.fork({ sandbox, count })) {
    if (event.case === "taken") freezeMs = event.value.freezeMs;
    if (event.case !== "clone") continue;
    const { result, durationMs } = event.value;
    if (result.case === "sandbox") {
      clones.push({ id: result.value.id, pid: result.value.pid });
      cloneMs.push(durationMs);
    } else errors.push(result.value?.message ?? "a clone failed");
  }
  const totalMs = performance.now() - started;
  if (errors.length === 0) return { freezeMs, totalMs, clones, cloneMs };
  await removeAll(api, clones);
  throw new Error(`${errors.length} of ${count} clones failed: ${errors[0]}`);
}

async function removeAll(api: Api, clones: readonly Clone[]): Promise<void> {
  await mapLimited(clones, 4, ({ id }) => remove(api, id));
}

/** Each clone is asked for what it holds. */
async function check({ api, digest }: Given, clones: readonly Clone[]): Promise<void> {
  const digests = await mapLimited(clones, 4, ({ id }) => digestOf(api, id));
  const wrong = digests.filter((it) => it !== digest).length;
  if (wrong > 0) throw new Error(`${wrong} of ${clones.length} clones do not hold what their source holds`);
}

async function checkAndRemove(given: Given, clones: readonly Clone[]): Promise<void> {
  try {
    await check(given, clones);
  } finally {
    await removeAll(given.api, clones);
  }
}

function forkTrial(given: Given, source: string): Trial {
  return trialOf(given, {
    group: "fork",
    async work(note) {
      const { freezeMs, totalMs, clones, cloneMs } = await fork(given.api, source, 1);
      note("fork", totalMs);
      note("forkBeside", totalMs - freezeMs);
      note("freeze", freezeMs);
      note("clone", cloneMs[0] ?? Number.NaN);
      await checkAndRemove(given, clones);
    },
  });
}

function fork16Trial(given: Given, source: string): Trial {
  return trialOf(given, {
    group: "fork 16",
    isSlow: true,
    async work(note) {
      const { totalMs, clones } = await fork(given.api, source, 16);
      note("fork16", totalMs / 16);
      await checkAndRemove(given, clones);
    },
  });
}

function manyTrial(given: Given, source: string, count: number): Trial {
  const { api } = given;
  return trialOf(given, {
    group: `fork ${count}`,
    isSlow: true,
    async work(note) {
      const before = await settledMeminfo();
      const first = await fork(api, source, 1);
      const kept = [...first.clones];
      try {
        const between = await settledMeminfo();
        const many = await fork(api, source, count);
        kept.push(...many.clones);
        note("forkMany", many.totalMs / count);
        const after = await settledMeminfo();
        note("memoryFirst", taken(before, between) / mib);
        note("memoryMany", taken(between, after) / mib / count);
        await notePrivate(note, "privateFirst", kept[0]);
        const last = kept.at(-1);
        await notePrivate(note, "privateLast", last);
        const { memoryUsageBytes } = await api.sandboxes.stats({ sandbox: last?.id ?? "" });
        note("cgroupLast", Number(memoryUsageBytes) / mib);
        await check(given, kept);
      } finally {
        await removeAll(api, kept);
      }
    },
  });
}

async function notePrivate(note: Note, row: "privateFirst" | "privateLast", clone: Clone | undefined) {
  const { privateBytes } = await memoryOf(await descendants(clone?.pid ?? 0));
  note(row, privateBytes / mib);
}

function moveTrial({ api, ...given }: Given, sandbox: string): Trial {
  return trialOf(
    { api, ...given },
    {
      group: "pause",
      async work(note) {
        note("pause", await timed(() => api.sandboxes.pause({ sandbox })));
        await rest();
        note("resume", await timed(() => api.sandboxes.resume({ sandbox })));
      },
    },
  );
}

function rollbackTrial(given: Given, sandbox: string, checkpoint: string): Trial {
  const { api, digest } = given;
  return trialOf(given, {
    group: "rollback",
    async work(note) {
      await changeOnePercent(api, sandbox);
      note("rollback", await timed(() => api.sandboxes.rollBack({ sandbox, checkpoint })));
      if ((await digestOf(api, sandbox)) !== digest)
        throw new Error("what is held is not what was held then");
    },
  });
}

function changedTrials(given: Given, sandbox: string): Trial[] {
  const { api } = given;
  return [
    trialOf(given, {
      group: "changed: checkpoint",
      work: async (note) => note("changedCheckpoint", await checkpoint(api, sandbox)),
    }),
    trialOf(given, {
      group: "changed: fork",
      async work(note) {
        const { totalMs, clones } = await fork(api, sandbox, 1);
        note("changedFork", totalMs);
        await checkAndRemove({ ...given, digest: await digestOf(api, sandbox) }, clones);
      },
    }),
    trialOf(given, {
      group: "changed: pause",
      async work(note) {
        note("changedPause", await timed(() => api.sandboxes.pause({ sandbox })));
        await api.sandboxes.resume({ sandbox });
      },
    }),
  ];
}

function coldTrial(given: Given, sandbox: string): Trial {
  return trialOf(given, {
    group: "cold: checkpoint",
    isSlow: true,
    work: async (note) => note("checkpointCold", await checkpoint(given.api, sandbox)),
  });
}

async function checkpoint(api: Api, sandbox: string): Promise<number> {
  const started = performance.now();
  const taken = await api.checkpoints.create({ sandbox });
  const ms = performance.now() - started;
  await api.checkpoints.delete({ checkpoint: taken.checkpoint?.id ?? "" });
  return ms;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
