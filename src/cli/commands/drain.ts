/** `ramet node drain`: no new work for a node; then what runs there is waited for, or paused. */
import { type Command, Option } from "commander";
import { z } from "zod";
import { DomainError, toDomainError } from "../../lib/errors.js";
import { settleLimited } from "../../lib/limit.js";
import { delay } from "../../lib/signal.js";
import { parseDuration } from "../arguments.js";
import { pathOf } from "../registry-client.js";
import { type Cli, registryLeaf, type Session } from "../session.js";
import { type Shape, shapes } from "../shapes.js";

const pollMs = 1000;
/** Pauses at once: each writes a sandbox's memory to the node's disk. */
const pausesAtOnce = 8;
/** Sandboxes that an error names. */
const namedMax = 20;

/** What a registry adds in later releases is dropped. */
const nodeAnswer = shapes.node.strip();
/** Of docs/admin-api.md; whatever a later release calls it, it is not `paused`. */
const sandboxAnswer = z.object({ id: z.string(), status: z.string() });
type Listed = z.output<typeof sandboxAnswer>;

interface DrainOptions {
  readonly wait?: boolean;
  readonly pause?: boolean;
  readonly deadline?: number;
}

interface Draining {
  readonly session: Session;
  readonly name: string;
  readonly untilMs: number;
}

export function drainCommand(cli: Cli): Command {
  return registryLeaf(
    "drain",
    "Give a node no new work, and on demand wait or pause until nothing runs there",
    ["node drain node1", "node drain node1 --wait --deadline 1h", "node drain node1 --pause"],
  )
    .argument("<node>", "name or id of the node")
    .option("--wait", "until no sandbox of the registry runs there any more")
    .addOption(new Option("--pause", "pause what runs there, and wait until nothing does").conflicts("wait"))
    .option(
      "--deadline <duration>",
      "how long to wait or pause (default: 10m); the node stays cordoned",
      parseDuration,
    )
    .action(cli.action(drain));
}

async function drain(session: Session, given: string, options: DrainOptions): Promise<void> {
  const { registry, out } = session;
  const { wait = false, pause = false, deadline = 600_000 } = options;
  const cordoned = await registry().send("PATCH", pathOf("nodes", given), { cordoned: true }, nodeAnswer);
  const draining = { session, name: cordoned.name, untilMs: Date.now() + deadline };
  if (pause) await pauseAll(draining);
  else if (wait) await waitForAll(draining);
  const node = await registry().get(pathOf("nodes", cordoned.name), nodeAnswer);
  await out.document("node", node, (it) => `${it.name}  cordoned, ${describe(it)}`);
}

function describe({ sandboxes: { running, paused, lost, making } }: Shape<"node">): string {
  const others = [lost === 0 ? "" : `, ${lost} lost`, making === 0 ? "" : `, ${making} being made`];
  return `${running} running, ${paused} paused${others.join("")}`;
}

interface Left {
  /** What does not rest: running, on its way to or from it, or lost with its node. */
  readonly sandboxes: readonly Listed[];
  /** Creates and forks that had begun before the node was cordoned. */
  readonly making: number;
  readonly count: number;
  /** What is on it cannot come to an end before it is back. */
  readonly isLost: boolean;
}

async function findLeft({ session, name }: Draining): Promise<Left> {
  const registry = session.registry();
  // First: what is made in between is listed then.
  const { health, sandboxes: counts } = await registry.get(pathOf("nodes", name), nodeAnswer);
  const { making } = counts;
  const all = await registry.get(pathOf("nodes", name, "sandboxes"), sandboxAnswer.array());
  const sandboxes = all.filter(({ status }) => status !== "paused");
  return { sandboxes, making, count: sandboxes.length + making, isLost: health === "lost" };
}

async function waitForAll(draining: Draining): Promise<void> {
  using progress = draining.session.out.progress();
  let total = 0;
  for (;;) {
    const { count, isLost } = await findLeft(draining);
    if (count === 0) return;
    if (isLost)
      throw new DomainError(
        "unavailable",
        `node ${draining.name} is cordoned and lost, with ${count} sandboxes`,
        {
          hint: "they come back with it; where it is gone for good, `ramet node rm --force` forgets it and them",
        },
      );
    total = Math.max(total, count);
    progress.show({ label: "waiting for sandboxes", done: total - count, total, unit: "count" });
    await rest(draining, count);
  }
}

/** Each is tried until it fails; one that wakes, or is resumed by its owner, is paused again. */
async function pauseAll(draining: Draining): Promise<void> {
  const { session } = draining;
  using progress = session.out.progress();
  const failed = new Map<string, DomainError>();
  let [done, total] = [0, 0];
  const show = () => progress.show({ label: "pausing sandboxes", done, total, unit: "count" });
  const pauseOne = async ({ id }: Listed) => {
    if (isOver(draining)) return;
    try {
      await pause(draining, id);
      done++;
    } catch (thrown) {
      failed.set(id, toDomainError(thrown));
    }
    show();
  };
  for (;;) {
    // One that could not be paused and is gone meanwhile is no failure.
    const { sandboxes: left, making, count } = await findLeft(draining);
    if (count === 0) return;
    if (making === 0 && left.every(({ id }) => failed.has(id))) throw notPaused(draining, left, failed);
    total = done + count;
    show();
    const ready = left.filter(
      ({ id, status }) => !failed.has(id) && (status === "running" || status === "lost"),
    );
    await settleLimited(ready, pausesAtOnce, pauseOne, session.signal);
    session.signal.throwIfAborted();
    if (ready.length === 0 || isOver(draining)) await rest(draining, count);
  }
}

async function pause({ session, name }: Draining, id: string): Promise<void> {
  const path = pathOf("nodes", name, "sandboxes", id, "pause");
  await session.registry().send("POST", path, undefined, sandboxAnswer);
}

const isOver = ({ untilMs }: Draining) => Date.now() >= untilMs;

async function rest(draining: Draining, left: number): Promise<void> {
  if (!isOver(draining)) return delay(pollMs, draining.session.signal);
  throw new DomainError("deadline_exceeded", `${left} sandboxes run on node ${draining.name} still`, {
    hint: "it stays cordoned: drain it again, or give it work again with `ramet node uncordon`",
  });
}

function notPaused(
  { name }: Draining,
  left: readonly Listed[],
  failed: ReadonlyMap<string, DomainError>,
): DomainError {
  const lines = left.slice(0, namedMax).map(({ id }) => `${id}: ${failed.get(id)?.message}`);
  if (left.length > namedMax) lines.push(`and ${left.length - namedMax} more`);
  const [code = "internal"] = left.map(({ id }) => failed.get(id)?.code);
  const message = `node ${name} is cordoned, and ${left.length} sandboxes there are not paused`;
  return new DomainError(code, [message, ...lines].join("\n"), {
    hint: "see to them and drain it again, or end them with `ramet rm --force`",
  });
}
