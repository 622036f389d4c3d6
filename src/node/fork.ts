/** Fork: one checkpoint of a running sandbox, and as many new sandboxes from it as asked for. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { startStopwatch } from "../lib/clock.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { settleLimited } from "../lib/limit.js";
import { openMergedStream } from "../lib/merged-stream.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { discardCheckpointFiles } from "./checkpoint-files.js";
import { makeSandbox, type NewSandbox } from "./create.js";
import type { Deps } from "./deps.js";
import { dropAll } from "./keep.js";
import type { ForkEvent, ForkOptions, ForkResult } from "./node.js";
import { reapUnused } from "./reap.js";
import { journaled } from "./record.js";
import { copySandbox } from "./take-checkpoint.js";

export const forkCountMax = 1000;

/**
 * Yields `taken` once the source runs again, then a `clone` for each in the order they finish. Ending the
 * iteration or aborting stops starting clones; those that were reported stay, and no others.
 */
export async function* forkSandbox(
  deps: Deps,
  ref: string,
  options: ForkOptions,
  signal: AbortSignal,
): AsyncGenerator<ForkEvent> {
  const { count } = options;
  if (!Number.isInteger(count) || count < 1 || count > forkCountMax) {
    throw new DomainError("invalid_argument", `cannot fork ${count} ways: 1 to ${forkCountMax}`);
  }
  const source = deps.store.sandboxes.find(ref);
  checkNamesFree(deps, options);
  const checkpoint = await deps.queue.run(
    source.id,
    () => copySandbox(deps, source.id, { kind: "fork" }, signal),
    signal,
  );
  yield* cloneAll(deps, { source: source.id, checkpoint, options }, signal);
}

interface Cloning {
  readonly source: SandboxId;
  readonly checkpoint: Checkpoint;
  readonly options: ForkOptions;
}

async function* cloneAll(deps: Deps, cloning: Cloning, signal: AbortSignal): AsyncGenerator<ForkEvent> {
  const { checkpoint, options, source } = cloning;
  const stream = openMergedStream<ForkEvent>(signal);
  const indexes = Array.from({ length: options.count }, (_, index) => index);
  const clone = async (index: number) => stream.push(await cloneOne(deps, cloning, index, stream.signal));
  const operation = { kind: "fork", sandbox: source, checkpoint: checkpoint.id } as const;
  const work = journaled(deps, operation, async () => {
    deps.failpoint("fork.taken");
    await settleLimited(indexes, deps.forkParallelism, clone, stream.signal);
  }).finally(async () => {
    // The clones have their own memory; only the layer is still underneath them.
    await discardCheckpointFiles(deps, checkpoint.id);
    await reapUnused(deps, checkpoint.id);
  });
  // Nobody listens until the reader has had the first event, or where none can be recorded.
  work.catch(() => {});
  deps.record("sandbox.forked", {
    sandbox: source,
    attributes: { checkpoint: checkpoint.id, count: String(options.count) },
  });
  try {
    yield { kind: "taken", checkpoint };
    yield* stream.until(work);
    // Clones that were never tried have no result of their own.
    signal.throwIfAborted();
  } finally {
    stream.end();
    await work.finally(() => dropUnread(deps, stream.unread()));
  }
}

const dropMs = 120_000;

/** Nobody knows of them: a restore that has begun is not heeding its caller. */
async function dropUnread(deps: Deps, events: readonly ForkEvent[]): Promise<void> {
  const ids = events.flatMap((event) =>
    event.kind === "clone" && event.result.ok ? [event.result.sandbox.id] : [],
  );
  await dropAll(deps, ids, AbortSignal.timeout(dropMs)).catch((err: unknown) =>
    deps.log.warn({ err, clones: ids.length }, "clones of a fork that was given up stay"),
  );
}

async function cloneOne(
  deps: Deps,
  cloning: Cloning,
  index: number,
  signal: AbortSignal,
): Promise<ForkEvent> {
  const elapsed = startStopwatch();
  const planned = planClone(cloning, index);
  // In its line: whoever deletes it while it is made waits until it is.
  const made = deps.queue.run(planned.id, () => makeSandbox(deps, planned, signal), signal);
  const result: ForkResult = await made.then(
    (sandbox: Sandbox) => ({ ok: true, sandbox }) as const,
    (thrown: unknown) => ({ ok: false, error: toDomainError(thrown, `clone ${index}`) }) as const,
  );
  deps.failpoint("fork.clone");
  return { kind: "clone", index, durationMs: elapsed(), result };
}

function planClone({ source, checkpoint, options }: Cloning, index: number): NewSandbox {
  const { namePrefix } = options;
  return {
    id: randomId() as SandboxId,
    ...(namePrefix === undefined ? {} : { name: cloneName(namePrefix, index) }),
    spec: { ...checkpoint.spec, env: { ...checkpoint.spec.env, ...options.env } },
    origin: { kind: "fork", source, checkpoint: checkpoint.id },
    labels: options.labels,
    isSlot: false,
    generation: checkpoint.generation + 1,
    parentSnapshot: checkpoint.snapshotKey,
    checkpoint: checkpoint.id,
  };
}

const cloneName = (prefix: string, index: number) => `${prefix}-${index + 1}`;

/** Names are looked at before the source is frozen for nothing; the store still has the last word. */
function checkNamesFree({ store }: Pick<Deps, "store">, { namePrefix, count }: ForkOptions): void {
  if (namePrefix === undefined) return;
  for (let index = 0; index < count; index++) {
    const name = cloneName(namePrefix, index);
    if (store.sandboxes.isNameTaken(name))
      throw new DomainError("already_exists", `a sandbox is called ${name} already`);
  }
}
