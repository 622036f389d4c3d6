/** Giving a warm slot to somebody: no restore, only a new identity. */
import { DomainError, isDomainError } from "../lib/errors.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { giveIdentity } from "./identity.js";
import type { CreateOptions } from "./node.js";
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
    try {
      return await deps.queue.run(slot.id, () => handOver(deps, slot, options));
    } catch (thrown) {
      void slots.end(slot.id);
      if (isDomainError(thrown, "already_exists")) throw thrown;
      deps.log.warn({ err: thrown, slot: slot.id }, "a warm slot did not come to life");
    } finally {
      slots.tend();
    }
  }
}

/** Until the record says whose it is, a start of the agent ends it as it does every slot. */
async function handOver(deps: Deps, slot: Sandbox, { name, labels, env }: CreateOptions): Promise<Sandbox> {
  const { freezer, store } = deps;
  const claimed: Sandbox = {
    ...slot,
    ...(name === undefined ? {} : { name }),
    labels,
    spec: { ...slot.spec, env: { ...slot.spec.env, ...env } },
    isSlot: false,
  };
  await freezer.thaw(slot.id);
  deps.failpoint("claim.thawed");
  await giveIdentity(deps, claimed, AbortSignal.timeout(answerMs));
  return store.soon(() => {
    const now = deps.now();
    const owned = store.sandboxes.update(slot.id, ({ state }) => {
      // It may have ended meanwhile, which nobody noted of a slot.
      if (state.status !== "running") throw new DomainError("unavailable", `slot ${slot.id} has ended`);
      return { ...claimed, createdAt: now, state: { ...state, since: now } };
    });
    deps.record("sandbox.created", {
      sandbox: slot.id,
      attributes: { origin: slot.origin.kind, warm: "true" },
    });
    return owned;
  });
}
