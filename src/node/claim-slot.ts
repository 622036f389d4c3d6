/** Giving a warm slot to somebody: no restore, one thaw and one commit. */
import { DomainError, isDomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { settleAll } from "../lib/settle.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { giveIdentity } from "./identity.js";
import type { CreateOptions, Env } from "./node.js";
import type { Slots } from "./slots.js";

/** A guest that has just been thawed answers at once; else the slot is of no use to anybody. */
const answerMs = 5_000;

/** Undefined where none is ready. A slot that does not come to life is ended, and the next one tried. */
export async function claimSlot(
  deps: Deps,
  slots: Slots,
  options: CreateOptions,
  signal: AbortSignal,
): Promise<Sandbox | undefined> {
  const { source, name } = options;
  if (source.kind !== "template") return undefined;
  const state = deps.store.templates.peek(source.template)?.state;
  if (state?.status !== "ready") return undefined;
  if (name !== undefined && deps.store.sandboxes.isNameTaken(name))
    throw new DomainError("already_exists", `a sandbox is called ${name} already`);
  for (;;) {
    signal.throwIfAborted();
    const slot = slots.take(state.checkpoint);
    if (slot === undefined) return undefined;
    slots.claimed();
    try {
      return await deps.queue.run(slot.id, () => handOver(deps, slot, options));
    } catch (thrown) {
      void slots.end(slot.id);
      if (isDomainError(thrown, "already_exists")) throw thrown;
      deps.log.warn({ err: thrown, slot: slot.id }, "a warm slot did not come to life");
    }
  }
}

/**
 * The record is made durable while the slot comes to life. In the journal the claim stands from the same commit until
 * both are done: a start of the agent before that ends the slot, as nobody was told of it.
 */
async function handOver(deps: Deps, slot: Sandbox, { name, labels, env }: CreateOptions): Promise<Sandbox> {
  const { store } = deps;
  const claimed: Sandbox = {
    ...slot,
    ...(name === undefined ? {} : { name }),
    labels,
    spec: { ...slot.spec, env: { ...slot.spec.env, ...env } },
    isSlot: false,
  };
  const operation = randomId();
  const record = store.soon(() => {
    const now = deps.now();
    const owned = store.sandboxes.update(slot.id, ({ state }) => {
      // It may have ended meanwhile, which nobody noted of a slot.
      if (state.status !== "running") throw new DomainError("unavailable", `slot ${slot.id} has ended`);
      return { ...claimed, createdAt: now, state: { ...state, since: now } };
    });
    const intent = { kind: "claim", sandbox: slot.id, args: {}, step: "started", startedAt: now } as const;
    store.operations.insert({ id: operation, ...intent });
    return owned;
  });
  try {
    const [owned] = await settleAll(record, comeToLife(deps, claimed, env));
    deps.failpoint("claim.done");
    await store.next(() => {
      store.operations.delete(operation);
      const attributes = { origin: slot.origin.kind, warm: "true" };
      deps.record("sandbox.created", { sandbox: slot.id, attributes });
    });
    return owned;
  } catch (thrown) {
    takeBack(deps, slot, operation);
    throw thrown;
  }
}

/** It has had its own host name and machine id since it was restored; only an environment is news to its guest. */
async function comeToLife(deps: Deps, claimed: Sandbox, env: Env): Promise<void> {
  await deps.freezer.thaw(claimed.id);
  deps.failpoint("claim.thawed");
  if (Object.keys(env).length > 0) await giveIdentity(deps, claimed, AbortSignal.timeout(answerMs));
}

/** It is a slot again, which has no name and is of no use to anybody, until it is ended. */
function takeBack({ store }: Deps, slot: Sandbox, operation: string): void {
  if (store.sandboxes.peek(slot.id)?.isSlot === false)
    store.sandboxes.update(slot.id, ({ state }) => ({ ...slot, state }));
  store.operations.delete(operation);
}
