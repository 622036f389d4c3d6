/** Finding a node that takes the work. The numbers are hints; a node that refuses is passed over. */
import type { Choice, NoChoice, Want } from "../fleet/fleet.js";
import type { NodeId } from "../fleet/node.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { withDeadline } from "../lib/signal.js";
import type { Deps } from "./deps.js";
import type { NodeView } from "./nodes.js";

/** Nodes that are tried before somebody has to wait. */
const attemptsMax = 3;

/** Where reports do not say that there is room, it is looked for again this often. */
const lookAgainMs = 250;

type PlaceDeps = Pick<Deps, "fleet" | "nodes" | "freed" | "random" | "settings"> & {
  readonly waiting: Waiting;
};

/** How many creates wait for room. */
export interface Waiting {
  count: number;
}

export interface Placing {
  readonly want: Omit<Want, "except">;
  /** For messages, e.g. `template base`. */
  readonly what: string;
  /** A node that is known to have it although no report says so yet. */
  readonly holder?: NodeId;
}

/** An attempt whose trouble is not its node's throws this around it: no other node would help. */
export class NotTheNode extends Error {
  readonly trouble: unknown;

  constructor(trouble: unknown) {
    super("not the node's trouble");
    this.trouble = trouble;
  }
}

/** `not_found`: nobody has it any more. `unavailable`: who has it is away, or nobody has had room for `roomWaitMs`. */
export async function place<T>(
  deps: PlaceDeps,
  placing: Placing,
  attempt: (node: NodeId) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const first = await tryNodes(deps, placing, attempt, signal);
  if ("made" in first) return first.made;
  if (first.reason === "unknown") throw nowhere(deps, placing);
  const { waiting, settings } = deps;
  if (waiting.count >= settings.roomWaitingMax) throw noRoom(deps, placing, first.refusal);
  waiting.count++;
  try {
    return await waitForRoom(deps, placing, attempt, signal);
  } finally {
    waiting.count--;
  }
}

async function waitForRoom<T>(
  deps: PlaceDeps,
  placing: Placing,
  attempt: (node: NodeId) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let refusal: DomainError | undefined;
  const until = performance.now() + deps.settings.roomWaitMs;
  while (performance.now() < until) {
    const look = (linked: AbortSignal) => deps.freed.rung(linked);
    // Rung or not, it is looked again.
    await withDeadline("room", lookAgainMs, look, signal).catch(() => signal.throwIfAborted());
    const result = await tryNodes(deps, placing, attempt, signal);
    if ("made" in result) return result.made;
    if (result.reason === "unknown") throw nowhere(deps, placing);
    refusal = result.refusal ?? refusal;
  }
  throw noRoom(deps, placing, refusal);
}

type Tried<T> =
  | { readonly made: T }
  | { readonly reason: NoChoice["reason"]; readonly refusal: DomainError | undefined };

async function tryNodes<T>(
  { fleet, random }: PlaceDeps,
  { want, holder }: Placing,
  attempt: (node: NodeId) => Promise<T>,
  signal: AbortSignal,
): Promise<Tried<T>> {
  const except = new Set<NodeId>();
  let refusal: DomainError | undefined;
  while (except.size < attemptsMax) {
    const chosen = fleet.choose({ ...want, except }, random);
    const choice = chosen.node === undefined ? known(chosen, holder, except) : chosen;
    if (choice.node === undefined) return { reason: refusal === undefined ? choice.reason : "full", refusal };
    try {
      const made = await attempt(choice.node);
      choice.settle("made");
      return { made };
    } catch (thrown) {
      refusal = refusedBy(choice, thrown);
      signal.throwIfAborted();
      except.add(choice.node);
    }
  }
  return { reason: "full", refusal };
}

/** Gives why the next node is to be tried. What is wrong with the request is wrong everywhere, and thrown. */
function refusedBy(choice: Choice, thrown: unknown): DomainError {
  if (thrown instanceof NotTheNode) {
    choice.settle("failed");
    throw thrown.trouble;
  }
  const refusal = toDomainError(thrown);
  choice.settle(refusal.code === "resource_exhausted" ? "refused" : "failed");
  if (refusal.code === "invalid_argument") throw refusal;
  return refusal;
}

function known(none: NoChoice, holder: NodeId | undefined, except: ReadonlySet<NodeId>): Choice | NoChoice {
  if (none.reason === "full" || holder === undefined || except.has(holder)) return none;
  return { node: holder, via: "checkpoint", settle: () => {} };
}

function nowhere({ nodes }: PlaceDeps, { what }: Placing): DomainError {
  const away = nodes.list().filter(isAway).length;
  if (away === 0) return new DomainError("not_found", `${what} not found: no node has it any more`);
  return new DomainError("unavailable", `no node that is ready has ${what}, and ${away} are away`, {
    hint: "see `ramet node ls`",
  });
}

function noRoom({ nodes }: PlaceDeps, { what }: Placing, refusal: DomainError | undefined): DomainError {
  const why = refusal === undefined ? "" : `: ${refusal.message}`;
  const all = nodes.list();
  const away = all.filter(isAway).length;
  const cordoned = all.filter((node) => node.record.isCordoned && !isAway(node)).length;
  const closed =
    away + cordoned === 0 ? "" : `; of ${all.length} nodes, ${cordoned} are cordoned and ${away} away`;
  return new DomainError("unavailable", `no node has room for ${what} now${why}${closed}`, {
    hint: "try again, or add a node",
  });
}

const isAway = ({ health, report }: NodeView) => health !== "ready" || report === undefined;
