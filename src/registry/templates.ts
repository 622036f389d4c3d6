/** Templates are everybody's: what nodes report, and the names that these go by. */
import type { CatalogueEntry, CatalogueTemplate } from "../fleet/catalogue.js";
import { parseSourceName } from "../fleet/source-name.js";
import type { Team } from "../fleet/team.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";
import type { Deps } from "./deps.js";
import { writing } from "./owned.js";
import type { Templates, TemplateView } from "./registry.js";
import { addTemplate, findSource } from "./resolve-source.js";
import type { Sizes } from "./sizes.js";

type TemplateDeps = Deps & { readonly sizes: Sizes };

/** No team owns snapshots by this id: with it, only templates are found. */
const nobody = { id: "", name: "" } as unknown as Team;

export function openTemplates(deps: TemplateDeps): Templates {
  const view = (template: CatalogueTemplate) => viewOf(deps, template);
  return {
    async list() {
      await addReported(deps);
      return (await deps.store.catalogue.templates()).map(view);
    },
    get: async (source) => view(await findTemplate(deps, source)),
    delete: (source, signal) => deleteTemplate(deps, source, signal),
    findAlias: (team, alias): Promise<CatalogueEntry | undefined> => findSource(deps, team, alias),
    async addTags(target, tags) {
      const template = await findTemplate(deps, target);
      const added = tags.map((tag) => tagged(template, tag));
      const aliases = [...new Set([...template.aliases, ...added])];
      return view(await writing(() => deps.store.catalogue.setAliases(template.id, aliases)));
    },
    async removeTags(source, tags) {
      const template = await findTemplate(deps, source);
      const removed = tags.map((tag) => tagged(template, tag));
      const missing = removed.find((alias) => !template.aliases.includes(alias));
      if (missing !== undefined)
        throw new DomainError("not_found", `template ${template.name} does not go by ${missing}`);
      const aliases = template.aliases.filter((alias) => !removed.includes(alias));
      await writing(() => deps.store.catalogue.setAliases(template.id, aliases));
    },
  };
}

function tagged({ name }: CatalogueTemplate, tag: string): string {
  const alias = `${name}:${tag}`;
  if (parseSourceName(alias).tag === undefined)
    throw new DomainError("invalid_argument", `${quote(tag)} is the tag that every template has`);
  return alias;
}

async function findTemplate(deps: TemplateDeps, source: string): Promise<CatalogueTemplate> {
  const entry = await findSource(deps, nobody, source);
  if (entry?.kind === "template") return entry;
  throw new DomainError("not_found", `template ${quote(source)} not found`);
}

function viewOf({ fleet, sizes }: TemplateDeps, template: CatalogueTemplate): TemplateView {
  const { ready, nodes } = fleet.slots(template.name);
  const size = sizes(template.name);
  return { template, slotsReady: ready, nodes, ...(size === undefined ? {} : { size }) };
}

async function addReported(deps: TemplateDeps): Promise<void> {
  const known = new Set((await deps.store.catalogue.templates()).map(({ name }) => name));
  for (const { report } of deps.nodes.list())
    for (const { name } of report?.templates ?? []) {
      if (known.has(name)) continue;
      known.add(name);
      await addTemplate(deps, name);
    }
}

/** Stops at the first node that refuses, or that is away: what reports it again is a template again. */
async function deleteTemplate(deps: TemplateDeps, source: string, signal: AbortSignal): Promise<void> {
  const { id, name } = await findTemplate(deps, source);
  const holders = deps.nodes
    .list()
    .filter(({ report }) => report?.templates.some((template) => template.name === name));
  for (const { record } of holders) {
    const { templates } = deps.nodes.api(record.id);
    try {
      await templates.delete({ name }, { signal, timeoutMs: deps.settings.workMs });
    } catch (thrown) {
      if (!isDomainError(thrown, "not_found")) throw thrown;
    }
  }
  await writing(() => deps.store.catalogue.delete(id));
}
