/**
 * What this node tells a registry: a beat with its load every 2 s, what has changed of its stock, and of the registry's
 * sandboxes. The same over a wire and within one process.
 */

import { requestLabel } from "../fleet/labels.js";
import type { NodeNews, NodeStock, ReportedSandbox, SandboxNews } from "../fleet/node.js";
import { type Bell, createBell } from "../lib/bell.js";
import { isDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { delay, linkSignals, withDeadline } from "../lib/signal.js";
import type { Node } from "../node/node.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import { readLoad } from "./load.js";

export const beatMs = 2000;
/** Changes that come together are told together. */
const debounceMs = 50;
/** Moves that leave no event (to pausing, stopping and the like) are told by then. */
const fullLookMs = 30_000;

export const checkpointsMax = 100_000;
export const imagesMax = 10_000;
const reasonLengthMax = 1024;
/** The event of one. */
const newSandbox = "sandbox.created";

export interface ReportDeps {
  readonly node: Pick<Node, "sandboxes" | "templates" | "checkpoints" | "images" | "events">;
  readonly dataDir: string;
  readonly log: Logger;
}

export interface Reports {
  /** At once with everything, then as things change, until the signal aborts; then it throws the signal's reason. */
  readonly news: AsyncIterable<NodeNews>;
  /** The next inventory is a whole one, and comes soon. */
  askInventory(): void;
}

export function openReports(deps: ReportDeps, signal: AbortSignal): Reports {
  const bell = createBell();
  const changes: Changes = { sandboxes: new Set(), isUrgent: false, stock: true, all: true, whole: true };
  return {
    askInventory() {
      changes.whole = true;
      bell.ring();
    },
    news: follow(deps, { changes, bell }, signal),
  };
}

interface Changes {
  readonly sandboxes: Set<string>;
  /** One of them is not to wait for the next beat. */
  isUrgent: boolean;
  stock: boolean;
  /** Any sandbox may have changed. */
  all: boolean;
  /** The receiver wants all of them, changed or not. */
  whole: boolean;
}

interface Watched {
  readonly changes: Changes;
  readonly bell: Bell;
}

async function* follow(deps: ReportDeps, watched: Watched, signal: AbortSignal): AsyncGenerator<NodeNews> {
  using linked = linkSignals(signal);
  const watching = watch(deps, watched, linked.signal).catch((thrown: unknown) => linked.abort(thrown));
  const known = new Map<string, string>();
  let lookedAt = Date.now();
  try {
    for (;;) {
      linked.signal.throwIfAborted();
      const { changes, bell } = watched;
      if (Date.now() - lookedAt >= fullLookMs) changes.all = true;
      if (changes.all) lookedAt = Date.now();
      const dueAt = performance.now() + beatMs;
      yield await collect(deps, changes, known, linked.signal);
      await passed(debounceMs, linked.signal);
      if (!mustHurry(changes)) await rungWithin(bell, dueAt - performance.now(), linked.signal);
    }
  } finally {
    linked.abort(new Error("no longer reporting"));
    await watching;
  }
}

/** What of the stock has changed can wait for the next beat, and so can a new sandbox: whoever asked for it was told. */
const mustHurry = ({ isUrgent, all, whole }: Changes) => isUrgent || all || whole;

async function watch({ node }: ReportDeps, { changes, bell }: Watched, signal: AbortSignal): Promise<void> {
  for await (const { type, sandbox } of node.events({ sinceId: "now", follow: true }, signal)) {
    if (/^(image|checkpoint|template)\./.test(type)) changes.stock = true;
    if (sandbox === undefined && !type.startsWith("template.")) continue;
    if (sandbox !== undefined) changes.sandboxes.add(sandbox);
    if (type === newSandbox) continue;
    changes.isUrgent = true;
    bell.ring();
  }
}

async function collect(
  deps: ReportDeps,
  changes: Changes,
  known: Map<string, string>,
  signal: AbortSignal,
): Promise<NodeNews> {
  const asked = { ...changes, sandboxes: [...changes.sandboxes] };
  changes.sandboxes.clear();
  changes.isUrgent = changes.stock = changes.all = changes.whole = false;
  const [load, stock, inventory] = await Promise.all([
    readLoad(deps),
    asked.stock ? tryStock(deps, changes, signal) : undefined,
    sandboxNews(deps.node, asked, known),
  ]);
  return {
    load,
    ...(stock === undefined ? {} : { stock }),
    ...(inventory === undefined ? {} : { inventory }),
  };
}

interface Asked extends Omit<Changes, "sandboxes" | "isUrgent"> {
  readonly sandboxes: readonly string[];
}

/** `known`: what the receiver has been told of each. */
async function sandboxNews(
  node: ReportDeps["node"],
  { sandboxes: changed, all, whole }: Asked,
  known: Map<string, string>,
): Promise<SandboxNews | undefined> {
  if (whole || all) {
    const found = (await node.sandboxes.list({ statuses: [], labels: {} })).filter(isRegistrys).map(reported);
    const ids = new Set(found.map(({ id }) => id));
    const gone = [...known.keys()].filter((id) => !ids.has(id));
    return told(known, { isWhole: whole, sandboxes: found, gone });
  }
  const looked = await Promise.all(changed.map((id) => look(node, id)));
  const sandboxes = looked.filter((sandbox) => sandbox !== undefined).map(reported);
  const gone = changed.filter((id, index) => looked[index] === undefined && known.has(id));
  return told(known, { isWhole: false, sandboxes, gone });
}

function told(known: Map<string, string>, news: SandboxNews): SandboxNews | undefined {
  const keyOf = ({ status, since }: ReportedSandbox) => `${status} ${since.getTime()}`;
  const sandboxes = news.isWhole
    ? news.sandboxes
    : news.sandboxes.filter((sandbox) => known.get(sandbox.id) !== keyOf(sandbox));
  for (const id of news.gone) known.delete(id);
  for (const sandbox of sandboxes) known.set(sandbox.id, keyOf(sandbox));
  if (!news.isWhole && sandboxes.length === 0 && news.gone.length === 0) return undefined;
  return { isWhole: news.isWhole, sandboxes, gone: news.isWhole ? [] : news.gone };
}

async function look(node: ReportDeps["node"], id: string): Promise<Sandbox | undefined> {
  try {
    const sandbox = await node.sandboxes.get(id);
    return isRegistrys(sandbox) ? sandbox : undefined;
  } catch (thrown) {
    if (isDomainError(thrown, "not_found")) return undefined;
    throw thrown;
  }
}

const isRegistrys = ({ labels }: Sandbox) => labels[requestLabel] !== undefined;

function reported({ id, state, labels }: Sandbox): ReportedSandbox {
  const own = Object.entries(labels).filter(([key]) => key.startsWith("registry."));
  const reason = state.status === "failed" ? state.reason.slice(0, reasonLengthMax) : undefined;
  return {
    id,
    status: state.status,
    since: state.since,
    labels: Object.fromEntries(own),
    ...(reason === undefined ? {} : { reason }),
    ...(state.status === "paused" ? { keepsMemory: state.checkpoint !== undefined } : {}),
  };
}

/** A containerd that does not answer keeps no node from beating: its stock is told later. */
async function tryStock(
  deps: ReportDeps,
  changes: Changes,
  signal: AbortSignal,
): Promise<NodeStock | undefined> {
  try {
    return await withDeadline("listing images", beatMs, (linked) => readStock(deps, linked), signal);
  } catch (err) {
    signal.throwIfAborted();
    deps.log.debug({ err }, "what the node has in stock cannot be told");
    changes.stock = true;
    return undefined;
  }
}

async function readStock({ node }: ReportDeps, signal: AbortSignal): Promise<NodeStock> {
  const [checkpoints, images] = await Promise.all([
    node.checkpoints.list({ all: false }),
    node.images.list(signal),
  ]);
  return {
    checkpoints: checkpoints.slice(0, checkpointsMax).map(({ checkpoint }) => checkpoint.id),
    images: images.slice(0, imagesMax).map(({ name }) => name),
  };
}

/** The wait is over when the time is up, when it rings, or when the signal aborts. */
async function rungWithin(bell: Bell, ms: number, signal: AbortSignal): Promise<void> {
  using linked = linkSignals(signal);
  const timer = setTimeout(() => linked.abort(new Error("the time is up")), Math.max(0, ms));
  await bell.rung(linked.signal).catch(() => {});
  clearTimeout(timer);
}

const passed = (ms: number, signal: AbortSignal) => delay(ms, signal).catch(() => {});
