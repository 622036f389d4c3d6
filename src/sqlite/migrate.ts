/** Migrations are numbered SQL files that are never edited once released; PRAGMA user_version counts them. */
import { readdirSync, readFileSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { DomainError } from "../lib/errors.js";

const filePattern = /^(\d{4})-[a-z0-9-]+\.sql$/;

export interface Migration {
  readonly version: number;
  readonly sql: string;
}

/** All in a directory, from version 1 up without gaps. */
export function readMigrations(directory: URL): Migration[] {
  const files = readdirSync(directory).sort();
  return files.map((file, index) => {
    const version = Number(filePattern.exec(file)?.[1]);
    if (version !== index + 1) throw new DomainError("internal", `migration ${file} is out of place`);
    return { version, sql: readFileSync(new URL(file, directory), "utf8") };
  });
}

/** Applies what is missing, all or nothing. Throws `failed_precondition` when the database is newer. */
export function migrate(db: Database, path: string, migrations: readonly Migration[]): void {
  const apply = db.transaction(() => {
    const current = Number(db.pragma("user_version", { simple: true }));
    if (current > migrations.length) {
      throw new DomainError(
        "failed_precondition",
        `${path} has version ${current}, this program knows up to ${migrations.length}`,
        { hint: "a newer release wrote it: run that one, or restore a backup from before the upgrade" },
      );
    }
    for (const { sql } of migrations.slice(current)) db.exec(sql);
    db.pragma(`user_version = ${migrations.length}`);
  });
  apply.immediate();
}
