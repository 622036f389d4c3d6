/** Create: what it is made from, a node that takes it, its record; and nothing of it where one of them fails. */
import type { CatalogueEntry } from "../fleet/catalogue.js";
import type { NodeId } from "../fleet/node.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { DomainError } from "../lib/errors.js";
import type { Deps } from "./deps.js";
import { discard, makeOn } from "./make.js";
import { NotTheNode, type Placing, place, type Waiting } from "./place.js";
import { newRecord } from "./record.js";
import type { CreateOptions, SandboxSize } from "./registry.js";
import { type Answer, onceForKey } from "./requests.js";
import { resolveSource } from "./resolve-source.js";
import type { Sizes } from "./sizes.js";
import { amountOf } from "./usage.js";

export type CreateDeps = Deps & { readonly sizes: Sizes; readonly waiting: Waiting };

export async function createSandbox(
  deps: CreateDeps,
  team: Team,
  options: CreateOptions,
  signal: AbortSignal,
): Promise<OwnedSandbox> {
  const once = { team, request: options.request };
  const make = async (answer: Answer | undefined, linked: AbortSignal) => [
    await createOnce(deps, { team, options, answer }, linked),
  ];
  const [sandbox] = await onceForKey(deps, once, make, signal);
  if (sandbox === undefined) throw new DomainError("internal", "the request was answered without a sandbox");
  return sandbox;
}

interface Creating {
  readonly team: Team;
  readonly options: CreateOptions;
  readonly answer: Answer | undefined;
}

async function createOnce(
  deps: CreateDeps,
  { team, options, answer }: Creating,
  signal: AbortSignal,
): Promise<OwnedSandbox> {
  const entry = await resolveSource(deps, team, options.source);
  const size = entry.kind === "snapshot" ? entry : deps.sizes(entry.name);
  using _reserved = deps.usage.reserve(team, amountOf(size ?? { cpus: 0, memoryBytes: 0 }));
  const attempt = async (node: NodeId) => {
    const source = sourceOf(entry);
    return makeOn(deps, { node, team, source, env: options.env }, signal, async (made, startedAt) => {
      const record = newRecord({ team, entry, options, node, made, startedAt });
      try {
        await deps.owned.insert([record], answer?.([record]));
      } catch (thrown) {
        throw new NotTheNode(thrown);
      }
      return record;
    });
  };
  const record = await place(deps, placing(entry, size), attempt, signal);
  // Nobody will hear of it; a request with a key may come again and ask for it.
  if (signal.aborted && answer === undefined) await discard(deps, record);
  signal.throwIfAborted();
  return record;
}

function sourceOf(entry: CatalogueEntry) {
  return entry.kind === "template"
    ? ({ case: "template", value: entry.name } as const)
    : ({ case: "checkpoint", value: entry.checkpoint } as const);
}

/** For a choice among nodes, where nothing is known of its size. */
const typical = { cpus: 1, memoryBytes: 512 * 1024 * 1024 };

function placing(
  entry: CatalogueEntry,
  size: Pick<SandboxSize, "cpus" | "memoryBytes"> | undefined,
): Placing {
  const { cpus, memoryBytes } = size ?? typical;
  if (entry.kind === "template") {
    const source = { kind: "template", template: entry.name } as const;
    return { want: { source, cpus, memoryBytes }, what: `template ${entry.name}` };
  }
  const source = { kind: "checkpoint", checkpoint: entry.checkpoint } as const;
  return { want: { source, cpus, memoryBytes }, what: `snapshot ${entry.id}`, holder: entry.node };
}
