/** The warm slots that stand ready: made, measured, given away, ended. */
import { readFileSync } from "node:fs";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { isDoomed } from "../lib/process-identity.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { makeSandbox, planTemplate } from "./create.js";
import type { Deps } from "./deps.js";
import { answerOnce } from "./ready.js";
import { journaled } from "./record.js";
import { likelySlotBytes, slotBytes } from "./slot-memory.js";
import type { PlannedSlot } from "./slot-plan.js";
import { finishDelete } from "./stop.js";
import { freezeServed } from "./traced.js";

export interface SlotPool {
  /** Restores one, has it answer its template's ready command, and lets it stand still. */
  make(template: string, signal: AbortSignal): Promise<void>;
  /** Gives one away that was restored from the checkpoint; undefined when none is ready. */
  take(checkpoint: string): Sandbox | undefined;
  /** Ends a slot, whoever has it. One that cannot be ended, as while containerd is away, is tried again by `review`. */
  end(id: string): Promise<void>;
  /** Ends one that is ready still: in the meantime a create may have taken it. */
  endReady(id: string): Promise<void>;
  /**
   * Those that are ready, measured, and without those that have died; as of a few seconds ago at most, as each slot
   * that is made asks, and a thousand take a while to look at.
   */
  review(): Promise<readonly PlannedSlot[]>;
  /** The same, as they were when last looked at. */
  ready(): readonly PlannedSlot[];
  /** Memory of those that could not be ended yet. */
  lingeringBytes(): number;
  /** What one more is likely to take: as much as the last one that was restored from the checkpoint. */
  estimate(checkpoint: string): Promise<number>;
}

interface ReadySlot extends PlannedSlot {
  /** As it was recorded when it was made. */
  readonly sandbox: Sandbox;
}

const reviewMs = 5_000;

export function openSlotPool(deps: Deps): SlotPool {
  const ready = new Map<string, ReadySlot>();
  const estimates = openEstimates(deps);
  const endings = openEndings(deps);
  let reviewAt = 0;

  async function end(id: string): Promise<void> {
    ready.delete(id);
    await endings.end(id);
  }

  async function make(template: string, signal: AbortSignal): Promise<void> {
    const id = randomId() as SandboxId;
    const plan = planTemplate(deps, { template, env: {} });
    const { checkpoint } = plan;
    await deps.queue.run(id, async () => {
      const sandbox = await makeSandbox(deps, { ...plan, id, labels: {}, isSlot: true }, signal);
      try {
        const readyCommand = deps.store.templates.peek(template)?.spec.readyCommand;
        if (readyCommand !== undefined) await answerOnce(deps, sandbox, { template, readyCommand }, signal);
        const bytes = await memoryOf(deps, id);
        if (bytes === undefined) throw new DomainError("internal", `slot ${id} ended as soon as it began`);
        await freezeServed(deps, id);
        estimates.note(checkpoint, bytes);
        ready.set(id, { id, template, checkpoint, bytes, sandbox });
      } catch (thrown) {
        void endings.end(id);
        throw thrown;
      }
    });
  }

  return {
    make,
    end,
    endReady: async (id) => {
      if (ready.has(id)) await end(id);
    },
    take(checkpoint) {
      for (const slot of ready.values()) {
        if (slot.checkpoint !== checkpoint) continue;
        ready.delete(slot.id);
        // Whether its record says so still is asked when the claim is written.
        const { state } = slot.sandbox;
        if (state.status === "running" && isFit(state.pid)) return slot.sandbox;
        void end(slot.id);
      }
      return undefined;
    },
    async review() {
      if (performance.now() < reviewAt) return [...ready.values()];
      reviewAt = performance.now() + reviewMs;
      endings.again();
      for (const slot of ready.values()) {
        const bytes = await memoryOf(deps, slot.id);
        if (!ready.has(slot.id)) continue;
        if (bytes === undefined) await end(slot.id);
        else ready.set(slot.id, { ...slot, bytes });
      }
      return [...ready.values()];
    },
    ready: () => [...ready.values()],
    lingeringBytes: endings.lingeringBytes,
    estimate: estimates.of,
  };
}

const remove = (deps: Deps, id: SandboxId) =>
  journaled(deps, { kind: "delete", sandbox: id }, () => finishDelete(deps, id));

/** Slots on their way out, and those that could not be ended. */
function openEndings(deps: Deps) {
  const lingering = new Map<string, number>();
  let isTrying = false;

  async function end(id: string): Promise<void> {
    try {
      await deps.queue.run(id, () => remove(deps, id as SandboxId));
      lingering.delete(id);
    } catch (err) {
      deps.log.warn({ err, slot: id }, "a warm slot cannot be ended yet");
      // Nor can the store be read when the agent is about to end.
      const bytes = await memoryOf(deps, id).catch(() => undefined);
      lingering.set(id, bytes ?? 0);
    }
  }

  async function endAll(): Promise<void> {
    isTrying = true;
    for (const id of [...lingering.keys()]) await end(id);
    isTrying = false;
  }

  return {
    end,
    /** Beside everything else: each may take until a deadline. */
    again(): void {
      if (!isTrying) void endAll();
    },
    lingeringBytes: () => [...lingering.values()].reduce((sum, bytes) => sum + bytes, 0),
  };
}

/** By checkpoint. */
function openEstimates(deps: Deps) {
  const sizes = new Map<string, number>();
  return {
    note: (checkpoint: string, bytes: number) => void sizes.set(checkpoint, bytes),
    async of(checkpoint: string): Promise<number> {
      const known = sizes.get(checkpoint);
      if (known !== undefined) return known;
      const likely = await likelySlotBytes(deps, checkpoint);
      if (!sizes.has(checkpoint)) sizes.set(checkpoint, likely);
      return sizes.get(checkpoint) ?? likely;
    },
  };
}

/** What was killed while it stood still dies at the thaw. A read of procfs takes less than a trip to another thread. */
function isFit(pid: number): boolean {
  try {
    return !isDoomed(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Undefined for one that has died. */
async function memoryOf(deps: Pick<Deps, "store" | "cgroups">, id: string): Promise<number | undefined> {
  const state = deps.store.sandboxes.peek(id)?.state;
  if (state?.status !== "running") return undefined;
  return slotBytes(deps, state.pid).catch(() => undefined);
}
