/** From what a client calls it to what it is: a template of everybody, or a snapshot of the team. */
import type { CatalogueEntry, CatalogueTemplate } from "../fleet/catalogue.js";
import { parseSourceName, type SourceName } from "../fleet/source-name.js";
import type { Team } from "../fleet/team.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { isId, quote, randomId } from "../lib/ids.js";
import type { Deps } from "./deps.js";
import { writing } from "./owned.js";

type CatalogueDeps = Pick<Deps, "store" | "fleet" | "nodes" | "now">;

/** Throws `not_found`, or `invalid_argument` for what cannot be a name. */
export async function resolveSource(
  deps: CatalogueDeps,
  team: Team,
  source: string,
): Promise<CatalogueEntry> {
  const entry = await findSource(deps, team, source);
  if (entry !== undefined) return entry;
  throw new DomainError("not_found", `template ${quote(source)} not found`, {
    hint: "`GET /templates` lists templates, `GET /snapshots` snapshots",
  });
}

export async function findSource(
  deps: CatalogueDeps,
  team: Team,
  source: string,
): Promise<CatalogueEntry | undefined> {
  const name = parseSourceName(source);
  const byId =
    isId(name.name) && name.tag === undefined ? await deps.store.catalogue.find(name.name) : undefined;
  if (byId !== undefined) return byId.kind === "template" || byId.team === team.id ? byId : undefined;
  return (await findTemplate(deps, name)) ?? (await findSnapshot(deps, team, name));
}

/** A namespace is a team's, and templates are nobody's. */
async function findTemplate(deps: CatalogueDeps, { namespace, name, tag }: SourceName) {
  if (namespace !== undefined) return undefined;
  const called = tag === undefined ? name : `${name}:${tag}`;
  const known = await deps.store.catalogue.findTemplate(called);
  if (known !== undefined || tag !== undefined) return known;
  return deps.fleet.slots(name).nodes > 0 ? addTemplate(deps, name) : undefined;
}

async function findSnapshot({ store }: CatalogueDeps, team: Team, { namespace, name, tag }: SourceName) {
  if (tag !== undefined || (namespace !== undefined && namespace !== team.name)) return undefined;
  return store.catalogue.findSnapshot(team.id, name);
}

/** A template that a node reports is in the catalogue from when somebody first asks for it. */
export async function addTemplate(deps: CatalogueDeps, name: string): Promise<CatalogueTemplate | undefined> {
  const now = deps.now();
  const template = {
    kind: "template",
    id: randomId(),
    name,
    aliases: [],
    createdAt: now,
    updatedAt: now,
  } as const;
  await writing(() => deps.store.catalogue.insert(template)).catch((thrown: unknown) => {
    if (!isDomainError(thrown, "already_exists")) throw thrown;
  });
  return deps.store.catalogue.findTemplate(name);
}
