import { randomBytes } from "node:crypto";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { waitUntil } from "../lib/signal.js";
import { readAhead } from "./read-ahead.js";
import { createVerifier } from "./verify.js";

const mebibyte = 1024 * 1024;
const names = /^pages-\d+\.img$/;
let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-read-ahead-"));
});
afterEach(() => rm(dir, { recursive: true }));

const digestOf = (options = {}) => createVerifier({ parallel: 2, rememberMax: 10 }).digest(dir, options);

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
    expect(await digestOf({ begun: reading.begun })).toEqual(await digestOf());
  });

  it("stops in the middle of a file", async () => {
    await writeFile(join(dir, "pages-1.img"), randomBytes(20 * mebibyte));
    const reading = readAhead(dir, names);
    await reading.end();
    expect(await digestOf({ begun: reading.begun })).toEqual(await digestOf());
  });

  it("ends where there is no such directory", async () => {
    const reading = readAhead(join(dir, "none"), names);
    await reading.end();
    expect(reading.begun.size).toBe(0);
  });
});
