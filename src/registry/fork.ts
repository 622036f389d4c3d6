/** Fork: one checkpoint of a running sandbox, and as many clones beside it on its node. */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import type { Error as ErrorMessage, ForkClone } from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError, errorCodes, toDomainError } from "../lib/errors.js";
import { settleLimited } from "../lib/limit.js";
import { type Deps, findOwned, unfit } from "./deps.js";
import { deleteOn, discard, labelled, type Made, madeOf } from "./make.js";
import { cloneRecord } from "./record.js";
import type { ForkOptions, ForkResult } from "./registry.js";
import { type Answer, onceForKey } from "./requests.js";
import { amountOf } from "./usage.js";

export const forkCountMax = 100;

export async function forkSandbox(
  deps: Deps,
  team: Team,
  id: string,
  options: ForkOptions,
  signal: AbortSignal,
): Promise<readonly ForkResult[]> {
  const { count, request } = options;
  if (!Number.isInteger(count) || count < 1 || count > forkCountMax)
    throw new DomainError("invalid_argument", `a fork makes 1 to ${forkCountMax} clones, not ${count}`);
  let results: readonly ForkResult[] | undefined;
  const work = async (answer: Answer | undefined, linked: AbortSignal) => {
    results = await forkOnce(deps, { team, id, options, answer }, linked);
    return results.flatMap((result) => (result.ok ? [result.sandbox] : []));
  };
  const made = await onceForKey(deps, { team, request }, work, signal);
  return results ?? repeated(made, count);
}

/** Why the others failed was told the first time. */
function repeated(made: readonly OwnedSandbox[], count: number): readonly ForkResult[] {
  const error = new DomainError("unavailable", "this clone failed when the request was made first");
  return Array.from({ length: count }, (_, index): ForkResult => {
    const sandbox = made[index];
    return sandbox === undefined ? { ok: false, error } : { ok: true, sandbox };
  });
}

interface Forking {
  readonly team: Team;
  readonly id: string;
  readonly options: ForkOptions;
  readonly answer: Answer | undefined;
}

/** It takes no turn: whoever ends or pauses the source need not wait for its clones. */
async function forkOnce(
  deps: Deps,
  { team, id, options, answer }: Forking,
  signal: AbortSignal,
): Promise<readonly ForkResult[]> {
  const source = await findOwned(deps, team, id);
  if (source.state.status !== "running") throw unfit(source, "fork");
  const amount = { ...amountOf(source, options.count), forksInFlight: options.count };
  using _reserved = deps.usage.reserve(team, amount);
  const clones: (Clone | undefined)[] = [];
  try {
    await labelled(deps, { node: source.node, team }, async (labels) => {
      await collect(deps, { source, labels, options, clones }, signal);
      signal.throwIfAborted();
      const made = clones.flatMap((clone) => (clone?.ok === true ? [clone.made] : []));
      const times = { timeoutMs: options.timeoutMs, startedAt: deps.now() };
      const records = new Map(made.map((one) => [one.id, cloneRecord(source, one, times)]));
      await deps.owned.insert([...records.values()], answer?.([...records.values()]));
      for (const [index, clone] of clones.entries()) {
        const sandbox = clone?.ok === true ? records.get(clone.made.id) : undefined;
        if (sandbox !== undefined) clones[index] = { ok: true, made: sandbox, sandbox };
      }
    });
  } catch (thrown) {
    const made = clones.flatMap((clone) => (clone?.ok === true ? [clone.made.id] : []));
    await settleLimited(made, 8, (clone) => deleteOn(deps, source.node, clone));
    throw thrown;
  }
  const results = Array.from({ length: options.count }, (_, index) => resultOf(clones[index]));
  // Nobody will hear of them; a request with a key may come again and ask for them.
  if (signal.aborted && answer === undefined)
    await settleLimited(results, 8, async (result) =>
      result.ok ? discard(deps, result.sandbox) : undefined,
    );
  signal.throwIfAborted();
  return results;
}

type Clone =
  | { readonly ok: true; readonly made: Made; readonly sandbox?: OwnedSandbox }
  | { readonly ok: false; readonly error: DomainError };

function resultOf(clone: Clone | undefined): ForkResult {
  if (clone?.ok === false) return clone;
  if (clone?.sandbox !== undefined) return { ok: true, sandbox: clone.sandbox };
  return { ok: false, error: new DomainError("internal", "the node has not said what became of this clone") };
}

interface Collecting {
  readonly source: OwnedSandbox;
  readonly labels: Record<string, string>;
  readonly options: ForkOptions;
  readonly clones: (Clone | undefined)[];
}

/** A stream that breaks after the checkpoint fails those that were not made, and leaves the others. */
async function collect(
  deps: Deps,
  { source, labels, options: { count, onTaken }, clones }: Collecting,
  signal: AbortSignal,
): Promise<void> {
  let isTaken = false;
  try {
    const { sandboxes } = deps.nodes.api(source.node);
    const request = { sandbox: source.id, count, labels };
    for await (const { event } of sandboxes.fork(request, { signal, timeoutMs: deps.settings.workMs })) {
      if (event.case === "taken") {
        isTaken = true;
        const { checkpoint, freezeMs, memoryBytes } = event.value;
        onTaken?.({ checkpoint, freezeMs, memoryBytes });
      }
      if (event.case === "clone" && event.value.index < count)
        clones[event.value.index] = cloneOf(deps, source, event.value);
    }
  } catch (thrown) {
    signal.throwIfAborted();
    if (!isTaken) throw thrown;
    const error = toDomainError(thrown, `the fork of sandbox ${source.id}`);
    for (let index = 0; index < count; index++) clones[index] ??= { ok: false, error };
  }
}

function cloneOf(deps: Deps, { node }: OwnedSandbox, { result }: ForkClone): Clone {
  if (result.case === "sandbox") return { ok: true, made: madeOf(deps, node, result.value) };
  return { ok: false, error: errorOf(result.value) };
}

function errorOf(message: ErrorMessage | undefined): DomainError {
  const code = errorCodes.find((candidate) => candidate === message?.code) ?? "internal";
  return new DomainError(code, message?.message ?? "the node has not said why", {
    ...(message === undefined || message.hint === "" ? {} : { hint: message.hint }),
  });
}
