/**
 * A node that exists in memory alone, for tests and benchmarks with more nodes than a machine has: sandboxes without
 * processes. What a registry asks of a node it does as a real one does (test/contract/registry-node.ts holds both to
 * that); anything else fails by name.
 */
import { setTimeout as wait } from "node:timers/promises";
import { createBell } from "../../src/lib/bell.js";
import { DomainError } from "../../src/lib/errors.js";
import { randomId } from "../../src/lib/ids.js";
import type {
  Created,
  CreateOptions,
  ForkEvent,
  Node,
  NodeEvent,
  TemplateView,
} from "../../src/node/node.js";
import type { Sandbox, SandboxId } from "../../src/sandbox/sandbox.js";
import { transition } from "../../src/sandbox/state.js";
import { noSlots, type SlotTarget } from "../../src/template/template.js";
import { aCheckpoint, aSandbox, stubNode } from "./stub-node.js";

export interface LightNodeOptions {
  readonly templates: readonly string[];
  /** Of each sandbox. Default: 1 core, 512 MiB. */
  readonly limits?: Sandbox["spec"]["limits"];
  /** What a create or a clone takes where there is no slot, and what a slot takes to be made. Default 0 ms. */
  readonly restoreMs?: number;
  /** What a pause takes. Default 0 ms. */
  readonly pauseMs?: number;
}

interface State {
  readonly sandboxes: Map<string, Sandbox>;
  readonly slots: Map<string, SlotTarget & { ready: number; readonly golden: string }>;
  readonly limits: Sandbox["spec"]["limits"];
  readonly restoreMs: number;
  readonly pauseMs: number;
  tell(type: string, sandbox: string): void;
}

export function lightNode({ templates, limits, restoreMs = 0, pauseMs = 0 }: LightNodeOptions): Node {
  const { tell, events } = openEvents();
  const state: State = {
    sandboxes: new Map(),
    slots: new Map(templates.map((name) => [name, { ...noSlots, ready: 0, golden: randomId() }])),
    limits: limits ?? { cpus: 1, memoryBytes: 512 * 1024 * 1024 },
    ...{ restoreMs, pauseMs, tell },
  };
  const viewOf = (name: string) => templateView(state, name);
  return stubNode({
    events,
    sandboxes: {
      ...making(state),
      ...moving(state),
      get: async (ref) => find(state, ref),
      list: async () => [...state.sandboxes.values()],
      stats: async (ref) => statsOf(find(state, ref)),
      listStats: async (refs) => listStats(state, refs),
    },
    templates: {
      get: async (name) => viewOf(name),
      list: async () => templates.map(viewOf),
      async setSlots(name, target) {
        const slots = slotsOf(state, name);
        state.slots.set(name, { ...slots, ...target, ready: Math.min(slots.ready, target.max) });
        void fillSlots(state, name);
        return viewOf(name);
      },
    },
    checkpoints: { list: async () => [] },
    images: { list: async () => [] },
  });
}

function find({ sandboxes }: State, ref: string): Sandbox {
  const found = sandboxes.get(ref);
  if (found === undefined) throw new DomainError("not_found", `sandbox ${ref} not found`);
  return found;
}

function making(state: State): Pick<Node["sandboxes"], "create" | "fork"> {
  return {
    async create({ source, labels, env }, signal): Promise<Created> {
      const isWarm = takeSlot(state, templateOf(state, source));
      if (!isWarm) await restored(state, signal);
      return { ...add(state, { labels, env }), isWarm };
    },
    async *fork(ref, { count, labels, env }, signal): AsyncGenerator<ForkEvent> {
      const source = find(state, ref);
      if (source.state.status !== "running")
        throw new DomainError("failed_precondition", `sandbox ${ref} is ${source.state.status}`);
      const made: string[] = [];
      try {
        yield { kind: "taken", checkpoint: aCheckpoint({ id: randomId(), sandbox: source.id }) };
        for (let index = 0; index < count; index++) {
          await restored(state, signal);
          const sandbox = add(state, { labels, env: { ...source.spec.env, ...env } });
          made.push(sandbox.id);
          yield { kind: "clone", index, durationMs: state.restoreMs, result: { ok: true, sandbox } };
        }
      } finally {
        // Whoever has asked is gone.
        if (signal.aborted) for (const id of made) drop(state, id);
      }
    },
  };
}

function templateOf(state: State, source: CreateOptions["source"]): string {
  if (source.kind !== "template")
    throw new DomainError("failed_precondition", `a light node makes nothing from a ${source.kind}`);
  slotsOf(state, source.template);
  return source.template;
}

function moving(state: State): Pick<Node["sandboxes"], "pause" | "resume" | "delete"> {
  return {
    async pause(ref) {
      const checkpoint = aCheckpoint({ id: randomId(), sandbox: ref, kind: "pause" });
      move(state, ref, { status: "pausing", since: new Date(), ...process });
      await wait(state.pauseMs);
      return {
        checkpoint,
        sandbox: move(state, ref, { status: "paused", since: new Date(), checkpoint: checkpoint.id }),
      };
    },
    async resume(ref) {
      move(state, ref, { status: "resuming", since: new Date(), checkpoint: "" });
      return move(state, ref, { status: "running", since: new Date(), ...process });
    },
    async delete(ref) {
      drop(state, find(state, ref).id);
    },
  };
}

/** There is none: what is recorded of it in the place of one. */
const process = { pid: 1, pidStart: "0" };

function move(state: State, ref: string, to: Sandbox["state"]): Sandbox {
  const sandbox = find(state, ref);
  const moved = { ...sandbox, state: transition(sandbox.state, to) };
  state.sandboxes.set(sandbox.id, moved);
  state.tell(`sandbox.${to.status}`, sandbox.id);
  return moved;
}

function add(state: State, { labels, env }: Pick<CreateOptions, "labels" | "env">): Sandbox {
  const createdAt = new Date();
  const base = aSandbox();
  const sandbox = aSandbox({
    ...{ id: randomId() as SandboxId, labels, createdAt },
    spec: { ...base.spec, env: { ...base.spec.env, ...env }, limits: state.limits },
    state: { status: "running", since: createdAt, ...process },
  });
  state.sandboxes.set(sandbox.id, sandbox);
  state.tell("sandbox.created", sandbox.id);
  return sandbox;
}

function drop(state: State, id: string): void {
  if (state.sandboxes.delete(id)) state.tell("sandbox.deleted", id);
}

async function restored({ restoreMs }: State, signal: AbortSignal): Promise<void> {
  if (restoreMs > 0) await wait(restoreMs, undefined, { signal });
  signal.throwIfAborted();
}

function takeSlot(state: State, template: string): boolean {
  const slots = state.slots.get(template);
  if (slots === undefined || slots.ready === 0) return false;
  slots.ready--;
  void fillSlots(state, template);
  return true;
}

async function fillSlots({ slots, restoreMs }: State, template: string): Promise<void> {
  await wait(restoreMs);
  const now = slots.get(template);
  if (now !== undefined) now.ready = now.max;
}

function slotsOf({ slots }: State, template: string) {
  const found = slots.get(template);
  if (found === undefined) throw new DomainError("not_found", `template ${template} not found`);
  return found;
}

function templateView(state: State, name: string): TemplateView {
  const { limits } = state;
  const { min, max, ready, golden } = slotsOf(state, name);
  const at = new Date(0);
  return {
    template: {
      spec: {
        ...{ name, image: "none", readyTimeoutMs: 0, env: {}, limits, allowPrivilegeEscalation: false },
      },
      slots: { min, max },
      createdAt: at,
      state: { status: "ready", since: at, checkpoint: golden },
    },
    memoryBytes: 0,
    cloneBytes: 1024 * 1024,
    slots: { min, max, ready, memoryBytes: 0 },
  };
}

function statsOf({ state }: Sandbox) {
  if (state.status !== "running")
    throw new DomainError("failed_precondition", `the sandbox is ${state.status}`);
  return {
    ...{
      readAt: new Date(),
      cpuUsageNs: 0n,
      memoryUsageBytes: 0,
      memoryRssBytes: 0,
      sharedMemoryMaxBytes: 0,
    },
    ...{ pids: 0, layerBytes: 0, guestRssBytes: 0, oomKills: 0 },
  };
}

function listStats({ sandboxes }: State, refs: readonly string[]) {
  const running = refs
    .flatMap((ref) => sandboxes.get(ref) ?? [])
    .filter(({ state }) => state.status === "running");
  return new Map(running.map((sandbox) => [sandbox.id, statsOf(sandbox)]));
}

function openEvents(): Pick<State, "tell"> & Pick<Node, "events"> {
  const bell = createBell();
  const queues = new Set<NodeEvent[]>();
  let last = 0;
  return {
    tell(type, sandbox) {
      const event = { id: ++last, at: new Date(), type, sandbox, attributes: {} };
      for (const queue of queues) queue.push(event);
      bell.ring();
    },
    async *events({ sinceId, follow }, signal) {
      if (sinceId !== "now" || !follow)
        throw new DomainError("failed_precondition", "a light node keeps no events: they can be followed");
      const queue: NodeEvent[] = [];
      queues.add(queue);
      try {
        for (;;) {
          yield* queue.splice(0);
          if (queue.length === 0) await bell.rung(signal);
        }
      } finally {
        queues.delete(queue);
      }
    },
  };
}
