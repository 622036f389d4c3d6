import { createHash, randomBytes } from "node:crypto";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ReadAhead, readAhead } from "./read-ahead.js";
import { waitUntil } from "./signal.js";

const mebibyte = 1024 * 1024;
const names = /^pages-\d+\.img$/;
let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-read-ahead-"));
});
afterEach(() => rm(dir, { recursive: true }));

/** Goes on from where the reading has stopped, to the end of each file. */
async function expectDigests({ begun }: ReadAhead): Promise<void> {
  for (const [name, { hash, position }] of begun) {
    const content = await readFile(join(dir, name));
    hash.update(content.subarray(position));
    expect(hash.digest("hex"), name).toBe(createHash("sha256").update(content).digest("hex"));
  }
}

async function readUntil(positions: readonly number[]) {
  const reading = readAhead(dir, names);
  await waitUntil(
    "the files are read",
    async () => {
      const found = [...reading.begun.values()].map(({ position }) => position);
      return found.length === positions.length && found.every((at, index) => at === positions[index]);
    },
    { intervalMs: 5, timeoutMs: 10_000 },
  );
  return reading;
}

describe("readAhead", () => {
  it("begins files that grow and that appear, and a digest goes on from there", async () => {
    const [one, two] = [join(dir, "pages-1.img"), join(dir, "pages-2.img")];
    await writeFile(one, randomBytes(mebibyte + 7));
    await writeFile(join(dir, "core-1.img"), randomBytes(2 * mebibyte));
    const reading = await readUntil([mebibyte]);
    await appendFile(one, randomBytes(40 * mebibyte));
    await writeFile(two, randomBytes(2 * mebibyte));
    await waitUntil("more is read", async () => reading.begun.get("pages-2.img")?.position === 2 * mebibyte, {
      intervalMs: 5,
      timeoutMs: 10_000,
    });
    await reading.end();
    expect(reading.begun.get("pages-1.img")?.position).toBe(41 * mebibyte);
    await appendFile(two, "and the rest");
    await expectDigests(reading);
  });

  it("stops in the middle of a file", async () => {
    await writeFile(join(dir, "pages-1.img"), randomBytes(20 * mebibyte));
    const reading = readAhead(dir, names);
    await reading.end();
    await expectDigests(reading);
  });

  it("ends where there is no such directory", async () => {
    const reading = readAhead(join(dir, "none"), names);
    await reading.end();
    expect(reading.begun.size).toBe(0);
  });
});
