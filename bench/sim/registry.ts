/** The registry's own decisions over simulated agents: placing, expiry, reconciling, pools. */
import type { Choice, Fleet, Want } from "../../src/fleet/fleet.js";
import type { NodeHealth, NodeId, NodeReport, SandboxNews } from "../../src/fleet/node.js";
import { createFleet } from "../../src/fleet/placement.js";
import type { PoolSettings } from "../../src/fleet/pool.js";
import { type PoolHistory, type PoolNode, planPool } from "../../src/fleet/pool-plan.js";
import { planLost, planReconcile, type Suspects } from "../../src/fleet/reconcile.js";
import { planSandbox } from "../../src/fleet/reconcile-sandbox.js";
import type { ReconcileStep } from "../../src/fleet/reconcile-step.js";
import { moveTo, type OwnedSandbox } from "../../src/fleet/sandbox.js";
import type { TeamId } from "../../src/fleet/team.js";
import type { Agent } from "./agent.js";
import type { Meter } from "./meter.js";
import { createRecords, type Records } from "./records.js";

export interface Claim {
  readonly want: Omit<Want, "except">;
  readonly timeoutMs: number;
  /** The answer does not reach the registry. */
  readonly isCut: boolean;
}

/** Made on its node, and not recorded yet. */
interface Pending {
  readonly claim: Claim;
  readonly request: string;
  readonly choice: Choice;
  readonly made: string;
}

export interface Registry {
  readonly records: Records;
  readonly counts: Record<
    "claims" | "slots" | "refused" | "turnedAway" | "orphans" | "lost" | "forgotten",
    number
  >;
  readonly violations: string[];
  hear(node: NodeId, report: NodeReport, news: SandboxNews): void;
  becomes(node: NodeId, health: NodeHealth): void;
  claim(claims: readonly Claim[]): void;
  /** Records what was made in the step before, and ends what is due. */
  step(): void;
  plan(pool: PoolSettings): void;
  /** To see what they hold. */
  dropRecords(): void;
  dropNodes(): void;
}

export interface RegistryOptions {
  readonly agents: ReadonlyMap<NodeId, Agent>;
  readonly random: () => number;
  readonly now: () => Date;
  readonly meter: Meter;
}

const attemptsMax = 3;
const againMs = 5_000;
const team = "t1" as TeamId;

interface State extends RegistryOptions {
  readonly fleet: Fleet;
  readonly heard: Map<NodeId, { report: NodeReport; health: NodeHealth }>;
  readonly suspects: Map<NodeId, Suspects>;
  readonly histories: Map<string, PoolHistory>;
  /** By template. */
  readonly told: Map<string, Map<NodeId, number>>;
  readonly inFlight: Set<string>;
  readonly counts: Registry["counts"];
  readonly violations: string[];
  readonly records: Records;
  pending: Pending[];
  requests: number;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { meter, now } = options;
  const state: State = {
    ...options,
    ...{ fleet: createFleet(), records: createRecords(), inFlight: new Set(), pending: [], requests: 0 },
    ...{ heard: new Map(), suspects: new Map(), histories: new Map(), told: new Map(), violations: [] },
    counts: { claims: 0, slots: 0, refused: 0, turnedAway: 0, orphans: 0, lost: 0, forgotten: 0 },
  };
  const { fleet, records, heard } = state;
  return {
    counts: state.counts,
    violations: state.violations,
    records,
    hear(node, report, news) {
      meter.work("beats", () => {
        heard.set(node, { report, health: "ready" });
        fleet.put({ id: node, health: "ready", isCordoned: false, report });
        reconcile(state, node, news);
      });
    },
    becomes: (node, health) => become(state, node, health),
    claim(claims) {
      meter.work("claims", () => {
        for (const claim of claims) place(state, claim);
      });
    },
    step() {
      const made = state.pending;
      state.pending = [];
      meter.work("claims", () => {
        for (const each of made) meter.decision("record", () => finish(state, each));
      });
      meter.work("expiry", () => {
        for (const id of records.takeDue(now())) expire(state, id);
      });
    },
    plan: (pool) => meter.work("pools", () => tell(state, pool)),
    dropRecords: records.clear,
    dropNodes() {
      for (const node of heard.keys()) fleet.remove(node);
      for (const map of [heard, state.suspects, state.told]) map.clear();
    },
  };
}

function up({ agents }: State, node: NodeId): Agent | undefined {
  const agent = agents.get(node);
  return agent?.isUp ? agent : undefined;
}

/** The node has the last word; another is tried, three at most. */
function place(state: State, claim: Claim): void {
  const { fleet, meter, random, counts } = state;
  const except = new Set<NodeId>();
  const request = `r${state.requests++}`;
  const source = claim.want.source;
  while (except.size < attemptsMax) {
    const choice = meter.decision("choose", () => fleet.choose({ ...claim.want, except }, random));
    if (choice.node === undefined) break;
    const agent = up(state, choice.node);
    const made = agent?.make(request, source.kind === "template" ? source.template : undefined);
    if (made !== undefined) {
      state.inFlight.add(request);
      state.pending.push({ claim, request, choice, made });
      return;
    }
    counts.refused++;
    choice.settle(agent === undefined ? "failed" : "refused");
    except.add(choice.node);
  }
  counts.turnedAway++;
}

function finish(state: State, { claim, request, choice, made }: Pending): void {
  const { records, counts, violations, now } = state;
  state.inFlight.delete(request);
  if (claim.isCut) {
    choice.settle("failed");
    return;
  }
  if (records.find(made) !== undefined) violations.push(`sandbox ${made} was given out twice`);
  const [startedAt, { source, memoryBytes }] = [now(), claim.want];
  records.put({
    ...{ id: made, team, node: choice.node, template: nameOf(source), state: { status: "running" } },
    ...{ startedAt, endAt: new Date(startedAt.getTime() + claim.timeoutMs), timeoutMs: claim.timeoutMs },
    ...{ onTimeout: { kind: "kill" }, metadata: { user: request }, accessToken: `token-${request}` },
    ...{ allowInternetAccess: true, cpus: 1, memoryBytes, diskBytes: 0 },
  });
  choice.settle("made");
  counts.claims++;
  if (choice.via === "slot") counts.slots++;
}

function expire(state: State, id: string): void {
  const { records, now } = state;
  const sandbox = records.find(id);
  if (sandbox === undefined) return;
  const agent = up(state, sandbox.node);
  if (agent !== undefined) {
    agent.delete(id);
    records.delete(id);
    return;
  }
  const isKilling = sandbox.state.status === "killing";
  records.put({
    ...sandbox,
    state: isKilling ? sandbox.state : moveTo(sandbox.state, { status: "killing" }),
    endAt: new Date(now().getTime() + againMs),
  });
}

function reconcile(state: State, node: NodeId, inventory: SandboxNews): void {
  const { suspects, records, inFlight, now } = state;
  const before: Suspects = suspects.get(node) ?? new Map();
  if (!inventory.isWhole && before.size + inventory.sandboxes.length + inventory.gone.length === 0) return;
  const named = [...inventory.sandboxes.map(({ id }) => id), ...inventory.gone, ...before.keys()];
  const found = named.flatMap((id) => records.find(id) ?? []);
  const all = inventory.isWhole ? [...records.ofNode(node), ...found] : found;
  const recorded = new Map(all.map((record) => [record.id, record]));
  const plan = planReconcile({ node, inventory, recorded, inFlight, suspects: before, now: now() });
  if (plan.suspects.size === 0) suspects.delete(node);
  else suspects.set(node, plan.suspects);
  for (const step of plan.steps) execute(state, node, step);
}

/** As whoever executes a plan has to: the node is asked again, and planned anew. */
function execute(state: State, node: NodeId, step: ReconcileStep): void {
  const { records, violations, counts } = state;
  const [agent, record] = [up(state, node), records.find(step.id)];
  if (step.action === "dispute") violations.push(`sandbox ${step.id} is on two nodes`);
  if (agent === undefined) return;
  if (step.action === "reap") {
    if (record !== undefined) violations.push(`sandbox ${step.id} has an owner and would be reaped`);
    counts.orphans++;
    agent.delete(step.id);
  } else if (record !== undefined) {
    putRight(state, agent, record);
  }
}

function putRight({ records, counts, now }: State, agent: Agent, record: OwnedSandbox): void {
  const found = agent.find(record.id);
  const fresh = found === undefined ? undefined : planSandbox(record, found, now());
  if (fresh?.action === "adopt") records.put({ ...record, state: fresh.state, endAt: fresh.endAt });
  if (found !== undefined && fresh?.action !== "end") return;
  agent.delete(record.id);
  records.delete(record.id);
  counts.forgotten++;
}

function become({ fleet, heard, records, counts, now }: State, node: NodeId, health: NodeHealth): void {
  const last = heard.get(node);
  if (last === undefined) return;
  last.health = health;
  fleet.put({ id: node, health, isCordoned: false, report: last.report });
  if (health !== "lost") return;
  for (const step of planLost(records.ofNode(node), now())) {
    const record = records.find(step.id);
    if (step.action !== "adopt" || record === undefined) continue;
    counts.lost++;
    records.put({ ...record, state: step.state });
  }
}

function tell(state: State, pool: PoolSettings): void {
  const { heard, records, histories, violations, now } = state;
  const { template, max: poolMax } = pool;
  const told = state.told.get(template) ?? new Map<NodeId, number>();
  state.told.set(template, told);
  const nodes = [...heard].flatMap(([id, { report, health }]): PoolNode[] => {
    const held = report.templates.find(({ name }) => name === template);
    if (held === undefined || health !== "ready") return [];
    const { memoryBytes, memoryFreeBytes } = report;
    const { slotsReady, cloneBytes } = held;
    return [{ id, memoryBytes, memoryFreeBytes, slotsReady, cloneBytes, told: told.get(id) ?? slotsReady }];
  });
  const claimed = records.claimed(template);
  const plan = planPool(pool, { claimed, nodes }, histories.get(template), now());
  if (plan.target > Math.max(0, poolMax - claimed))
    violations.push(`${template}: more slots than its maximum`);
  histories.set(template, plan.history);
  for (const [id, { max }] of plan.nodes) {
    const agent = up(state, id);
    if (told.get(id) === max || agent === undefined) continue;
    told.set(id, max);
    agent.setSlots(template, max);
  }
}

function nameOf(source: Want["source"]): string {
  switch (source.kind) {
    case "template":
      return source.template;
    case "checkpoint":
      return source.checkpoint;
    case "image":
      return source.image;
  }
}
