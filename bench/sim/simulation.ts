/** A fleet on a virtual clock: it fills up, lives on while nodes fail and return, and comes to rest. */
import type { Want } from "../../src/fleet/fleet.js";
import type { NodeId } from "../../src/fleet/node.js";
import type { PoolSettings } from "../../src/fleet/pool.js";
import { seeded } from "../../src/lib/random.js";
import { type Agent, createAgent } from "./agent.js";
import { createMeter, type Meter } from "./meter.js";
import { createRegistry, type Registry } from "./registry.js";

export interface SimulationOptions {
  readonly nodes: number;
  readonly sandboxes: number;
  readonly seed: number;
  /** Virtual seconds of claims, ends, losses and returns, once it is full. */
  readonly seconds: number;
}

export interface Simulation {
  readonly agents: Map<NodeId, Agent>;
  readonly registry: Registry;
  readonly meter: Meter;
  readonly virtualMs: number;
  /** What is wrong in the end. */
  readonly violations: readonly string[];
}

const startMs = Date.UTC(2026, 0, 5);
const stepMs = 100;
const beatSteps = 20;
const secondSteps = 1_000 / stepMs;
const [unreachableMs, lostMs] = [6_000, 30_000];
const fillSeconds = 40;
const gibibyte = 1024 ** 3;
const templates = ["base", "python", "node"] as const;
const images = ["debian", "alpine"] as const;

interface World extends SimulationOptions {
  readonly agents: Map<NodeId, Agent>;
  readonly list: readonly Agent[];
  readonly registry: Registry;
  readonly random: () => number;
  readonly pools: readonly PoolSettings[];
  readonly silent: Map<
    NodeId,
    { readonly since: number; readonly until: number; state: "cut" | "away" | "lost" }
  >;
  nowMs: number;
}

export function simulate(options: SimulationOptions): Simulation {
  const meter = createMeter();
  const world = createWorld(options, meter);
  const { registry, sandboxes, seconds } = world;
  for (const agent of world.list) registry.hear(agent.id, agent.report(), agent.news(true));
  const perStep = sandboxes / (fillSeconds * secondSteps);
  for (let step = 0; registry.records.size < sandboxes && step < 4 * fillSeconds * secondSteps; step++)
    advance(world, step, { claims: perStep, endsAfterMs: () => 3_600_000, isQuiet: true });
  // What was made to fill it up ends while the others come: as many as there were, over twice the time.
  const lifeMs = (seconds * 1_000) / 2;
  for (let step = 0; step < seconds * secondSteps; step++)
    advance(world, step, {
      claims: sandboxes / (4 * seconds * secondSteps),
      endsAfterMs: () => Math.floor(world.random() * 2 * lifeMs) + 1_000,
      isQuiet: false,
    });
  for (const silent of world.silent.values()) Object.assign(silent, { until: world.nowMs });
  for (let step = 0; step < 40 * secondSteps; step++)
    advance(world, step, { claims: 0, endsAfterMs: () => 0, isQuiet: true });
  const violations = [...registry.violations, ...findWrong(world)];
  return { agents: world.agents, registry, meter, virtualMs: world.nowMs - startMs, violations };
}

function createWorld(options: SimulationOptions, meter: Meter): World {
  const random = seeded(options.seed);
  let ids = 0;
  const nextId = () => `s${String(ids++).padStart(19, "0")}`;
  const agents = new Map<NodeId, Agent>();
  for (let index = 0; index < options.nodes; index++) {
    const id = `n${index}` as NodeId;
    const each = options.sandboxes / options.nodes;
    // Room for a few more sandboxes than there are to be, so that some nodes are full.
    const memoryBytes = (0.25 + random() * 0.4) * (each + 16) * gibibyte * 0.5;
    agents.set(
      id,
      createAgent(
        {
          ...{ id, memoryBytes, images: [images[index % 2] ?? "debian"] },
          templates: templates.filter((_, which) => index % 3 !== which),
          checkpoints: Array.from({ length: 20 }, (_, which) => `c${index}-${which}`),
        },
        nextId,
      ),
    );
  }
  const world = {
    ...{
      ...options,
      agents,
      list: [...agents.values()],
      random,
      silent: new Map(),
      nowMs: Date.UTC(2026, 0, 5),
    },
    pools: templates.map((template) => poolOf(template, options)),
  };
  const registry = createRegistry({ agents, random, meter, now: () => new Date(self.nowMs) });
  const self: World = { ...world, registry };
  return self;
}

const poolOf = (template: string, { nodes, sandboxes }: SimulationOptions): PoolSettings => ({
  ...{ template, min: nodes, max: sandboxes, minAvailableRatio: 0.02, maxAvailableRatio: 0.1, schedules: [] },
});

/** Nodes that go silent in a run. */
const lossesOf = ({ nodes }: SimulationOptions) => Math.max(20, nodes / 20);

interface Load {
  readonly claims: number;
  endsAfterMs(): number;
  /** No node is lost. */
  readonly isQuiet: boolean;
}

function advance(world: World, step: number, load: Load): void {
  const { registry, list, random } = world;
  world.nowMs += stepMs;
  registry.step();
  const count = Math.floor(load.claims) + (random() < load.claims % 1 ? 1 : 0);
  const claim = () => ({ want: wanted(world), timeoutMs: load.endsAfterMs(), isCut: random() < 0.0005 });
  registry.claim(Array.from({ length: count }, claim));
  for (let index = step % beatSteps; index < list.length; index += beatSteps) {
    const agent = list[index];
    if (agent === undefined || !agent.isUp || world.silent.has(agent.id)) continue;
    agent.work();
    registry.hear(agent.id, agent.report(), agent.news(false));
  }
  tendSilent(world);
  if (!load.isQuiet && random() < lossesOf(world) / (world.seconds * secondSteps)) loseOne(world);
  if (step % secondSteps === 0) for (const pool of world.pools) registry.plan(pool);
}

function wanted({ random, list }: World): Omit<Want, "except"> {
  const at = random();
  const size = { cpus: 1, memoryBytes: gibibyte / 2 };
  if (at < 0.9)
    return { ...size, source: { kind: "template", template: templates[Math.floor(random() * 3)] ?? "base" } };
  if (at < 0.95)
    return { ...size, source: { kind: "image", image: images[Math.floor(random() * 2)] ?? "debian" } };
  const checkpoint = `c${Math.floor(random() * list.length)}-${Math.floor(random() * 20)}`;
  return { ...size, source: { kind: "checkpoint", checkpoint } };
}

/** Its cable is cut, or its machine starts anew; for seconds or for longer than it takes to be lost. */
function loseOne({ list, random, silent, nowMs }: World): void {
  const agent = list[Math.floor(random() * list.length)];
  if (agent === undefined || silent.has(agent.id)) return;
  silent.set(agent.id, { since: nowMs, until: nowMs + Math.floor(random() * 60_000), state: "cut" });
  agent.isUp = false;
  if (random() < 0.3) agent.reboot();
}

function tendSilent({ silent, agents, registry, nowMs }: World): void {
  for (const [id, it] of silent) {
    const agent = agents.get(id);
    if (nowMs >= it.until && agent !== undefined) {
      agent.isUp = true;
      silent.delete(id);
      registry.hear(id, agent.report(), agent.news(true));
    } else if (nowMs - it.since > lostMs && it.state !== "lost") {
      it.state = "lost";
      registry.becomes(id, "lost");
    } else if (nowMs - it.since > unreachableMs && it.state === "cut") {
      it.state = "away";
      registry.becomes(id, "unreachable");
    }
  }
}

/** One owner for each sandbox, one sandbox for each record, and nothing on a node that nobody owns. */
function findWrong({ agents, registry: { records } }: World): string[] {
  const held = [...agents.values()].flatMap((agent) =>
    [...agent.sandboxes()].map((id) => [id, agent.id] as const),
  );
  const on = new Map(held);
  const full = [...agents.values()].filter((agent) => agent.report().memoryFreeBytes < 0);
  const unowned = held.filter(([id]) => records.find(id) === undefined);
  const misplaced = [...records.all()].filter(({ id, node }) => on.get(id) !== node);
  const restless = [...records.all()].filter(({ state }) => state.status !== "running");
  return [
    ...held.filter(([id, node]) => on.get(id) !== node).map(([id]) => `sandbox ${id} is on two nodes`),
    ...full.map(({ id }) => `node ${id} has more than it has room for`),
    ...unowned.map(([id, node]) => `sandbox ${id} on ${node} has no owner`),
    ...misplaced.map(({ id, node }) => `sandbox ${id} is recorded on ${node}, and is not there`),
    ...restless.map(({ id, state }) => `sandbox ${id} is recorded as ${state.status} in the end`),
  ];
}
