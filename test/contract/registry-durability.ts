/** What a RegistryStore has acknowledged stays, whatever happens to its process. Needs the build. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { furnish } from "./registry-records.js";
import type { StorePlace } from "./registry-store.js";

/** How another process opens the same place. */
export interface Opener {
  /** From `dist`. */
  readonly module: string;
  readonly name: string;
  readonly options: readonly unknown[];
}

export type SharedPlace = StorePlace & { readonly opener: Opener };

const program = fileURLToPath(new URL("../support/registry-writer.mjs", import.meta.url));

/** A process that writes all the time. `lines` are what it says: `open`, then the ids that were acknowledged. */
export function startWriter({ module, name, options }: Opener) {
  const url = new URL(`../../dist/${module}`, import.meta.url).href;
  const child = spawn(process.execPath, [program, url, name, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += String(data);
  });
  return { child, lines: createInterface({ input: child.stdout }), errors: () => errors };
}

/** Has a process write, and kills it after so many lines; gives the ids that it had said by then. */
async function killAfter(lineCount: number, opener: Opener): Promise<string[]> {
  const { child, lines, errors } = startWriter(opener);
  const closed = once(child, "close");
  const ids: string[] = [];
  let left = lineCount;
  for await (const line of lines) {
    if (line !== "open") ids.push(line);
    left -= 1;
    if (left === 0) child.kill("SIGKILL");
  }
  const [, signal] = await closed;
  expect(signal, errors()).toBe("SIGKILL");
  return ids;
}

export function registryDurabilityContract(name: string, makePlace: () => Promise<SharedPlace>): void {
  describe(`${name}, when its process is killed,`, () => {
    it("has all that was acknowledged", async () => {
      await using place = await makePlace();
      {
        await using store = await place.open();
        await furnish(store);
      }
      const acknowledged: string[] = [];
      for (const lines of [40, 80, 120, 160, 200])
        acknowledged.push(...(await killAfter(lines, place.opener)));
      await using store = await place.open();
      const kept = new Set<string>();
      for await (const some of store.sandboxes.outlines()) for (const { id } of some) kept.add(id);
      expect(acknowledged.length).toBeGreaterThanOrEqual(590);
      expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
    });
  });
}
