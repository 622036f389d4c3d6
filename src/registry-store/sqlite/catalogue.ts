import type { Database } from "better-sqlite3";
import type { CatalogueTemplate } from "../../fleet/catalogue.js";
import { DomainError } from "../../lib/errors.js";
import { quote } from "../../lib/ids.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit, Synchronous } from "../../sqlite/group-commit.js";
import type { Catalogue } from "../registry-store.js";
import { present } from "./columns.js";
import { openSnapshots } from "./snapshots.js";
import { openTemplates } from "./templates.js";

const namesMax = 1000;

export function openCatalogue(db: Database, { soon }: GroupCommit): Catalogue {
  const templates = openTemplates(db);
  const snapshots = openSnapshots(db);
  const find = (id: string) => templates.find(id) ?? snapshots.find(id);
  // Every create asks for one of a few names. Only what was found is kept, and only until a template changes.
  const byName = new Map<string, CatalogueTemplate>();
  const changing = <T>(work: () => Synchronous<T>) =>
    soon<T>(() => {
      byName.clear();
      return work();
    });
  const findTemplate = (name: string) => {
    const known = byName.get(name) ?? templates.findByName(name);
    if (byName.size >= namesMax) byName.clear();
    if (known !== undefined) byName.set(name, known);
    return known;
  };
  const assertFree = (id: string) => {
    if (find(id) !== undefined) throw new DomainError("already_exists", `${quote(id)} exists already`);
  };

  return {
    insert: (entry) =>
      changing(() => {
        assertFree(entry.id);
        if (entry.kind === "template") templates.insert(entry);
        else snapshots.insert(entry);
      }),
    get: async (id) => guarded("catalogue", () => present(`template or snapshot ${quote(id)}`, find(id))),
    find: async (id) => guarded("catalogue", () => find(id)),
    findTemplate: async (name) => guarded("catalogue", () => findTemplate(name)),
    findSnapshot: async (team, name) => guarded("catalogue", () => snapshots.findByName(team, name)),
    templates: async () => guarded("catalogue", () => templates.list()),
    setAliases: (id, aliases) =>
      changing(() => templates.setAliases(present(`template ${quote(id)}`, templates.find(id)), aliases)),
    snapshots: async (query) => guarded("catalogue", () => snapshots.list(query)),
    ofNode: async (node) => guarded("catalogue", () => snapshots.ofNode(node)),
    insertSnapshot: (snapshot) =>
      soon(() => {
        assertFree(snapshot.id);
        if (snapshot.name !== undefined) snapshots.takeName(snapshot.team, snapshot.name);
        snapshots.insert(snapshot);
      }),
    delete: (id) =>
      changing(() => {
        templates.remove(id);
        snapshots.remove(id);
      }),
  };
}
