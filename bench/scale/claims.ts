/** Creates from a template that has warm slots, through the agent's socket. */
import type { Api } from "../../src/cli/client.js";
import { mapLimited } from "../../src/lib/limit.js";
import { waitUntil } from "../../src/lib/signal.js";
import { idOf } from "../ours.js";
import { remove } from "./ours.js";
import type { Trial } from "./trials.js";

export interface ClaimOptions {
  readonly api: Api;
  readonly template: string;
  readonly sizeMib: number;
  /** Slots, and claims that come together. */
  readonly count: number;
}

export function claimTrial({ api, template, sizeMib, count }: ClaimOptions): Trial {
  const oneByOne = Math.max(1, Math.floor(count / 2));
  return {
    name: "ours",
    sizeMib,
    group: "claim",
    async work(note) {
      try {
        await fillSlots(api, template, count);
        const some = await claimAll(api, template, { count: oneByOne, atOnce: 1 });
        for (const ms of some) note("claim", ms);
        await fillSlots(api, template, count);
        const many = await claimAll(api, template, { count, atOnce: count });
        for (const ms of many) note("claimMany", ms);
      } finally {
        await emptySlots(api, template);
      }
    },
  };
}

/** Milliseconds of each; what was claimed is removed. */
export async function claimAll(
  api: Api,
  template: string,
  { count, atOnce }: { readonly count: number; readonly atOnce: number },
): Promise<number[]> {
  const claimed: string[] = [];
  const claim = async () => {
    const started = performance.now();
    const { sandbox, warm } = await api.sandboxes.create({ source: { case: "template", value: template } });
    const ms = performance.now() - started;
    claimed.push(idOf(sandbox));
    return { ms, warm };
  };
  try {
    const claims = await mapLimited(Array.from({ length: count }), atOnce, claim);
    const cold = claims.filter(({ warm }) => !warm).length;
    if (cold > 0) throw new Error(`${cold} of ${count} claims found no warm slot`);
    return claims.map(({ ms }) => ms);
  } finally {
    await mapLimited(claimed, 4, (id) => remove(api, id));
  }
}

export async function fillSlots(api: Api, name: string, count: number): Promise<void> {
  await api.templates.setSlots({ name, min: count, max: count });
  let problem = "";
  const isFull = async () => {
    const { slots } = (await api.templates.get({ name })).template ?? {};
    problem = slots?.problem ?? "";
    return (slots?.ready ?? 0) >= count;
  };
  await waitUntil(`${count} warm slots of ${name}`, isFull, { intervalMs: 100, timeoutMs: 120_000 }).catch(
    (error: unknown) => {
      throw problem === "" ? error : new Error(`${count} warm slots cannot be had: ${problem}`);
    },
  );
}

export async function emptySlots(api: Api, name: string): Promise<void> {
  await api.templates.setSlots({ name, min: 0, max: 0 });
  const isEmpty = async () => ((await api.templates.get({ name })).template?.slots?.ready ?? 0) === 0;
  await waitUntil(`the end of the warm slots of ${name}`, isEmpty, { intervalMs: 100, timeoutMs: 60_000 });
}
