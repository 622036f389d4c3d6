/** The project's own sources, as text. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");

export interface Source {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
}

/** Files below `folder` whose names end like one of `endings`; generated ones left out. */
export function readSources(folder: string, endings: readonly string[]): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => endings.some((ending) => path.endsWith(ending)) && !path.startsWith("src/gen/"))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** What a TypeScript file imports: paths from the root for relative ones, names for others. */
export function importsOf({ path, text }: Source): string[] {
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].map(
    (match) => match[1] ?? "",
  );
  return specifiers.map((specifier) =>
    specifier.startsWith(".") ? relative(root, resolve(root, dirname(path), specifier)) : specifier,
  );
}

/** `src/store/rows.ts` is in folder `store`. */
export function folderOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}
