/** Snapshots: checkpoints of a team's sandboxes that new ones are made from. */
import type { CatalogueSnapshot } from "../fleet/catalogue.js";
import type { Team } from "../fleet/team.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { parseName, quote, randomId } from "../lib/ids.js";
import { type Deps, findOwned, unfit } from "./deps.js";
import { checkpointName } from "./leftovers.js";
import { writing } from "./owned.js";
import type { Page, SnapshotQuery, Snapshots } from "./registry.js";
import { findSource } from "./resolve-source.js";

export function openSnapshots(deps: Deps): Snapshots {
  return {
    create: (team, sandbox, { name }, signal) => createSnapshot(deps, team, { sandbox, name }, signal),
    list: (team, query) => listSnapshots(deps, team, query),
    delete: (team, source) => deleteSnapshot(deps, team, source),
  };
}

async function createSnapshot(
  deps: Deps,
  team: Team,
  { sandbox: id, name }: { readonly sandbox: string; readonly name: string | undefined },
  signal: AbortSignal,
): Promise<CatalogueSnapshot> {
  if (name !== undefined) parseName("snapshot", name);
  const sandbox = await findOwned(deps, team, id);
  if (sandbox.state.status !== "running") throw unfit(sandbox, "take a snapshot of");
  const { node, cpus, memoryBytes, diskBytes } = sandbox;
  const { leftovers, nodes, settings, store } = deps;
  const snapshotId = randomId();
  leftovers.inFlight.add(snapshotId);
  try {
    const request = { sandbox: id, name: checkpointName({ id: snapshotId }) };
    const options = { signal, timeoutMs: settings.workMs };
    const { checkpoint } = await nodes.api(node).checkpoints.create(request, options);
    if (checkpoint === undefined)
      throw new DomainError("internal", `node ${node} answered without a checkpoint`);
    const snapshot: CatalogueSnapshot = {
      ...{ kind: "snapshot", id: snapshotId, team: team.id, node, checkpoint: checkpoint.id, sandbox: id },
      ...(name === undefined ? {} : { name }),
      ...{ createdAt: deps.now(), cpus, memoryBytes, diskBytes },
    };
    await writing(() => store.catalogue.insertSnapshot(snapshot)).catch((thrown: unknown) => {
      leftovers.add(node, checkpoint.id);
      throw thrown;
    });
    return snapshot;
  } finally {
    leftovers.inFlight.delete(snapshotId);
  }
}

async function listSnapshots(
  { store }: Deps,
  team: Team,
  query: SnapshotQuery,
): Promise<Page<CatalogueSnapshot>> {
  const found = await store.catalogue.snapshots({ ...query, team: team.id, limit: query.limit + 1 });
  return { items: found.slice(0, query.limit), hasMore: found.length > query.limit };
}

/** The checkpoint stays for as long as sandboxes stand on it. */
async function deleteSnapshot(deps: Deps, team: Team, source: string): Promise<void> {
  const entry = await findSource(deps, team, source);
  if (entry?.kind !== "snapshot") throw new DomainError("not_found", `snapshot ${quote(source)} not found`);
  const { id, node, checkpoint } = entry;
  await writing(() => deps.store.catalogue.delete(id));
  try {
    const options = { timeoutMs: deps.settings.askMs };
    await deps.nodes.api(node).checkpoints.delete({ checkpoint }, options);
  } catch (thrown) {
    if (!isDomainError(thrown, "not_found")) deps.leftovers.add(node, checkpoint);
  }
}
