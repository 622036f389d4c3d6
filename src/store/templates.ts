/** Records of templates. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { DomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";
import { dateSchema } from "../sandbox/schema.js";
import { guarded } from "../sqlite/errors.js";
import { jsonColumn, parseRow } from "../sqlite/rows.js";
import { slotTargetSchema, templateSpecSchema, templateStateSchema } from "../template/schema.js";
import type { Template } from "../template/template.js";

export interface TemplateReader {
  /** Throws `not_found`. */
  get(name: string): Template;
  peek(name: string): Template | undefined;
  /** By name. */
  list(): Template[];
}

export interface Templates extends TemplateReader {
  /** Throws `already_exists`. */
  insert(template: Template): void;
  update(name: string, change: (template: Template) => Template): Template;
  delete(name: string): void;
}

const rowSchema: z.ZodType<Template> = z.strictObject({
  spec: jsonColumn(templateSpecSchema),
  slots: jsonColumn(slotTargetSchema),
  createdAt: dateSchema,
  state: jsonColumn(templateStateSchema),
});
const parse = (row: unknown) => parseRow("templates", rowSchema, row);

const columns = "spec, slots, created_at AS createdAt, state";

export function openTemplates(db: Database): Templates {
  const byName = db.prepare(`SELECT ${columns} FROM templates WHERE name = ?`);
  const all = db.prepare(`SELECT ${columns} FROM templates ORDER BY name`);
  const insert = db.prepare(`INSERT INTO templates (name, spec, slots, created_at, state)
    VALUES (@name, @spec, @slots, @createdAt, @state)`);
  const update = db.prepare(`UPDATE templates SET spec = @spec, slots = @slots, created_at = @createdAt,
    state = @state WHERE name = @name`);
  const remove = db.prepare("DELETE FROM templates WHERE name = ?");

  // Each claim of a warm slot asks: a row that reads as it did is not parsed again.
  const parsed = new Map<string, { readonly text: string; readonly template: Template }>();
  const peek = (name: string) => {
    const row = byName.get(name) as Readonly<Record<string, unknown>> | undefined;
    if (row === undefined) {
      parsed.delete(name);
      return undefined;
    }
    const text = Object.values(row).join("\n");
    const known = parsed.get(name);
    if (known?.text === text) return known.template;
    const template = parse(row);
    parsed.set(name, { text, template });
    return template;
  };
  const get = (name: string) => {
    const found = peek(name);
    if (found !== undefined) return found;
    throw new DomainError("not_found", `no template ${quote(name)}`, { hint: "see `ramet template ls`" });
  };
  const change = db.transaction((name: string, apply: (template: Template) => Template) => {
    const changed = apply(get(name));
    guarded(`template ${name}`, () => update.run({ ...bind(changed), name }));
    return changed;
  });

  return {
    get,
    peek,
    list: () => all.all().map(parse),
    insert(template) {
      guarded(`template ${template.spec.name}`, () => insert.run(bind(template)));
    },
    update: (name, apply) => change(name, apply),
    delete(name) {
      guarded(`template ${name}`, () => remove.run(name));
      parsed.delete(name);
    },
  };
}

function bind(template: Template) {
  return {
    name: template.spec.name,
    spec: JSON.stringify(template.spec),
    slots: JSON.stringify(template.slots),
    createdAt: template.createdAt.toISOString(),
    state: JSON.stringify(template.state),
  };
}
