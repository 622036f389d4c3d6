/** What the agent remembers of its sessions, in SQLite: the history that it looks things up in. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { z } from "zod";

const sessionSchema = z.object({
  /** When it ended, ISO 8601. */
  at: z.string(),
  submission: z.string(),
  /** SHA-256 of its code. */
  digest: z.string(),
  /** What was wrong, as `Failure.error`; "" where nothing was. */
  error: z.string(),
  message: z.string(),
  diagnosis: z.string(),
  /** 1: a changed version ran without an error. */
  repaired: z.number(),
  model: z.string(),
});
export type Session = Readonly<z.infer<typeof sessionSchema>>;

export interface Memory extends Disposable {
  record(session: Session): void;
  /** Of submissions of this name, newest first. */
  ofSubmission(name: string): readonly Session[];
  /** That had this error, whatever was submitted, newest first. */
  withError(error: string): readonly Session[];
}

const sessionsMax = 5;

/** Opens the file, or makes it. */
export function openMemory(path: string): Memory {
  mkdirSync(dirname(path), { recursive: true });
  const db = new Database(path);
  db.exec(`CREATE TABLE IF NOT EXISTS session (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, submission TEXT NOT NULL, digest TEXT NOT NULL, error TEXT NOT NULL,
    message TEXT NOT NULL, diagnosis TEXT NOT NULL, repaired INTEGER NOT NULL, model TEXT NOT NULL) STRICT`);
  const insert = db.prepare(`INSERT INTO session
    (at, submission, digest, error, message, diagnosis, repaired, model)
    VALUES (@at, @submission, @digest, @error, @message, @diagnosis, @repaired, @model)`);
  const select = (column: "submission" | "error") =>
    db.prepare(`SELECT * FROM session WHERE ${column} = ? ORDER BY id DESC LIMIT ${sessionsMax}`);
  const [bySubmission, byError] = [select("submission"), select("error")];
  const sessions = z.array(sessionSchema);
  return {
    record: (session) => void insert.run(session),
    ofSubmission: (name) => sessions.parse(bySubmission.all(name)),
    withError: (error) => sessions.parse(byError.all(error)),
    [Symbol.dispose]: () => void db.close(),
  };
}
