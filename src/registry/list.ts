/** A team's sandboxes, a page at a time. */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import type { Deps } from "./deps.js";
import type { ListQuery, Page } from "./registry.js";
import { findSource } from "./resolve-source.js";

export async function listSandboxes(deps: Deps, team: Team, query: ListQuery): Promise<Page<OwnedSandbox>> {
  const { template, limit, ...rest } = query;
  const entry = template === undefined ? undefined : await findSource(deps, team, template);
  if (template !== undefined && entry === undefined) return { items: [], hasMore: false };
  // One more tells whether there is another page.
  const found = await deps.owned.list({
    ...rest,
    team: team.id,
    limit: limit + 1,
    ...(entry === undefined ? {} : { template: entry.id }),
  });
  return { items: found.slice(0, limit), hasMore: found.length > limit };
}
