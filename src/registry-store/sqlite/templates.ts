/** Templates and the names that they go by. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { CatalogueTemplate } from "../../fleet/catalogue.js";
import { guarded } from "../../sqlite/errors.js";
import { jsonColumn, parseRow } from "../../sqlite/rows.js";
import { timeColumn } from "./columns.js";

const rowSchema = z
  .strictObject({
    id: z.string(),
    names: jsonColumn(z.tuple([z.string()], z.string())),
    createdAt: timeColumn,
    updatedAt: timeColumn,
  })
  .transform(
    ({ id, names: [name, ...aliases], createdAt, updatedAt }): CatalogueTemplate => ({
      kind: "template",
      ...{ id, name, aliases, createdAt, updatedAt },
    }),
  );
const parse = (row: unknown) => parseRow("templates", rowSchema, row);
const one = (row: unknown) => (row === undefined ? undefined : parse(row));

const columns = `id, created_at AS createdAt, updated_at AS updatedAt,
  (SELECT json_group_array(name ORDER BY place) FROM template_names WHERE template = templates.id) AS names`;

/** Works within a transaction, or reads. */
export function openTemplates(db: Database) {
  const byId = db.prepare(`SELECT ${columns} FROM templates WHERE id = ?`);
  const byName = db.prepare(`SELECT ${columns} FROM templates
    WHERE id = (SELECT template FROM template_names WHERE name = ?)`);
  const all = db.prepare(`SELECT ${columns} FROM templates ORDER BY created_at, id`);
  const insert = db.prepare("INSERT INTO templates (id, created_at, updated_at) VALUES (?, ?, ?)");
  const remove = db.prepare("DELETE FROM templates WHERE id = ?");
  const addName = db.prepare("INSERT INTO template_names (name, template, place) VALUES (?, ?, ?)");
  const removeAliases = db.prepare("DELETE FROM template_names WHERE template = ? AND place > 0");

  function addNames(id: string, name: string, aliases: readonly string[]): void {
    for (const [place, text] of [...new Set([name, ...aliases])].entries())
      if (place > 0) guarded(`alias ${text}`, () => addName.run(text, id, place));
  }

  return {
    find: (id: string) => one(byId.get(id)),
    findByName: (name: string) => one(byName.get(name)),
    list: () => all.all().map(parse),
    insert({ id, name, aliases, createdAt, updatedAt }: CatalogueTemplate): void {
      guarded(`template ${name}`, () => {
        insert.run(id, createdAt.getTime(), updatedAt.getTime());
        addName.run(name, id, 0);
      });
      addNames(id, name, aliases);
    },
    setAliases(template: CatalogueTemplate, aliases: readonly string[]): CatalogueTemplate {
      const { id, name } = template;
      guarded(`template ${name}`, () => removeAliases.run(id));
      addNames(id, name, aliases);
      return { ...template, aliases: [...new Set(aliases)].filter((alias) => alias !== name) };
    },
    remove: (id: string) => guarded(`template ${id}`, () => remove.run(id)),
  };
}
