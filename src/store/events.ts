/** The last events, for people and for watchers that come back. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { dateSchema, labelsSchema } from "../sandbox/schema.js";
import { guarded } from "../sqlite/errors.js";
import { jsonColumn, orNull, parseRow } from "../sqlite/rows.js";

/** Older ones are dropped. */
export const eventsMax = 10_000;

export interface RecordedEvent {
  /** Grows with every event, restarts included; gaps are possible. */
  readonly id: number;
  readonly at: Date;
  readonly type: string;
  readonly sandbox?: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface EventFilter {
  /** Only events with a greater id. */
  readonly afterId: number;
  readonly sandbox?: string;
  readonly limit: number;
}

export interface EventReader {
  /** Oldest first. */
  list(filter: EventFilter): RecordedEvent[];
  /** Of the newest; 0 before the first. */
  lastId(): number;
}

export interface Events extends EventReader {
  append(event: Omit<RecordedEvent, "id">): RecordedEvent;
}

const rowSchema: z.ZodType<RecordedEvent> = z.strictObject({
  id: z.int(),
  at: dateSchema,
  type: z.string(),
  sandbox: z.string().exactOptional(),
  attributes: jsonColumn(labelsSchema),
});

export function openEvents(db: Database): Events {
  const list = db.prepare(`SELECT id, at, type, sandbox, attributes FROM events
    WHERE id > @afterId AND (@sandbox IS NULL OR sandbox = @sandbox) ORDER BY id LIMIT @limit`);
  const last = db.prepare("SELECT max(id) FROM events").pluck();
  const insert = db.prepare(
    "INSERT INTO events (at, type, sandbox, attributes) VALUES (@at, @type, @sandbox, @attributes)",
  );
  const trim = db.prepare("DELETE FROM events WHERE id <= ?");
  const append = db.transaction((event: Omit<RecordedEvent, "id">): RecordedEvent => {
    const id = Number(insert.run(bind(event)).lastInsertRowid);
    trim.run(id - eventsMax);
    return { ...event, id };
  });

  return {
    list: ({ afterId, sandbox, limit }) =>
      list.all({ afterId, sandbox: orNull(sandbox), limit }).map((row) => parseRow("events", rowSchema, row)),
    lastId: () => Number(last.get() ?? 0),
    append: (event) => guarded("recording an event", () => append(event)),
  };
}

function bind(event: Omit<RecordedEvent, "id">) {
  return {
    at: event.at.toISOString(),
    type: event.type,
    sandbox: orNull(event.sandbox),
    attributes: JSON.stringify(event.attributes),
  };
}
