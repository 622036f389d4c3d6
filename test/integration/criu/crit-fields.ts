/** Compares what our code reads of a dump's images with what crit shows of them. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { type ImageKind, readImage, writeImage } from "../../../src/criu/image/codec.js";
import { readThread } from "../../../src/criu/image/core.js";
import {
  allBytesOf,
  allNumbersOf,
  parseMessage,
  requiredNumber,
  serializeMessage,
} from "../../../src/criu/image/message.js";
import { presentBytes, readPagemap } from "../../../src/criu/image/pagemap.js";
import { findMount, readFileTable } from "../../../src/criu/image/reg-file.js";
import { readFilters } from "../../../src/criu/image/seccomp-chain.js";
import { parseVma } from "../../../src/criu/image/vma.js";
import { all, entriesOf, inner, num, numbersIn, type Shown, type ShownDump, seccompModeOf } from "./crit.js";

/** Our names of the kinds that we read. */
const kinds: Readonly<Record<string, ImageKind>> = {
  CORE: "core",
  FILES: "files",
  MM: "mm",
  MNTS: "mounts",
  PAGEMAP: "pagemap",
  PSTREE: "pstree",
  SECCOMP: "seccomp",
  TTY_INFO: "terminals",
};

const messagesOf = async (dir: string, name: string, kind: ImageKind) =>
  readImage(await readFile(join(dir, name)), kind, name);

/** Both read every image and write it as it was. Gives the kinds that ours has read. */
export async function bothWriteTheSame(dir: string, dump: ShownDump): Promise<string[]> {
  const known = new Set<string>();
  for (const [name, { magic, same, problem }] of dump.images) {
    expect({ name, problem, same }).toEqual({ name, problem: undefined, same: true });
    const kind = kinds[magic];
    if (kind === undefined) continue;
    known.add(kind);
    const bytes = await readFile(join(dir, name));
    const messages = readImage(bytes, kind, name).map((message) => parseMessage(message, name));
    expect(writeImage(kind, messages.map(serializeMessage)).equals(bytes), name).toBe(true);
  }
  return [...known].sort();
}

/** All fields that our code reads are what crit shows. */
export async function bothReadTheSame(dir: string, dump: ShownDump): Promise<void> {
  await sameProcesses(dir, dump);
  for (const pid of numbersIn(dump, "mm")) await sameMappings(dir, dump, `mm-${pid}.img`);
  for (const prefix of ["pagemap", "pagemap-shmem"])
    for (const id of numbersIn(dump, prefix)) await samePages(dir, dump, `${prefix}-${id}.img`);
  for (const id of numbersIn(dump, "mountpoints")) await sameMounts(dir, dump, `mountpoints-${id}.img`);
  for (const tid of numbersIn(dump, "core")) await sameThread(dir, dump, tid);
  await sameFiles(dir, dump);
  await sameFilters(dir, dump);
}

async function sameProcesses(dir: string, dump: ShownDump): Promise<void> {
  const name = "pstree.img";
  const ours = (await messagesOf(dir, name, "pstree")).map((bytes) => {
    const message = parseMessage(bytes, name);
    return { pid: requiredNumber(message, 1, name), threads: allNumbersOf(message, 5, name) };
  });
  expect(ours).toEqual(
    entriesOf(dump, name).map((entry) => ({ pid: entry["pid"], threads: entry["threads"] ?? [] })),
  );
}

async function sameMappings(dir: string, dump: ShownDump, name: string): Promise<void> {
  const [bytes = Buffer.alloc(0)] = await messagesOf(dir, name, "mm");
  const ours = allBytesOf(parseMessage(bytes, name), 14, name).map((vma) => parseVma(vma, name));
  const theirs = all(entriesOf(dump, name)[0], "vmas");
  expect(ours.length, name).toBeGreaterThan(5);
  const bits = (numbers: ReadonlySet<number>) => [...numbers].reduce((sum, bit) => sum + 2 ** bit, 0);
  expect(
    ours.map(({ start, end, prot, flags, status, advised }) => [
      ...[start, end, prot, flags, status, bits(advised)],
    ]),
    name,
  ).toEqual(
    theirs.map((vma) => ["start", "end", "prot", "flags", "status", "madv"].map((field) => num(vma, field))),
  );
  const files = 64 + 128;
  expect(
    ours.map(({ fileId }) => fileId),
    name,
  ).toEqual(theirs.map((vma) => ((num(vma, "status") & files) === 0 ? undefined : num(vma, "shmid"))));
}

const present = (entry: Shown): boolean => entry["in_parent"] !== true && (num(entry, "flags") & 4) !== 0;

async function samePages(dir: string, dump: ShownDump, name: string): Promise<void> {
  const { pagesId, entries } = readPagemap(await readFile(join(dir, name)), name);
  const [head, ...theirs] = entriesOf(dump, name);
  expect(pagesId).toBe(num(head, "pages_id"));
  expect(
    entries.map(({ start, end, present }) => [start, (end - start) / 4096, present]),
    name,
  ).toEqual(theirs.map((entry) => [num(entry, "vaddr"), pagesIn(entry), present(entry)]));
  const { size } = await stat(join(dir, `pages-${pagesId}.img`));
  expect(size, name).toBe(presentBytes(entries));
}

/** CRIU 4.2 has the count in a field of 64 bits. */
export const pagesIn = (entry: Shown): number => num(entry, "nr_pages") || num(entry, "compat_nr_pages");

async function sameMounts(dir: string, dump: ShownDump, name: string): Promise<void> {
  const messages = await messagesOf(dir, name, "mounts");
  const theirs = entriesOf(dump, name);
  const paths = theirs.map((entry) => String(entry["mountpoint"]));
  expect(theirs.length, name).toBeGreaterThan(2);
  for (const [index, path] of paths.entries())
    if (paths.indexOf(path) === paths.lastIndexOf(path))
      expect(findMount([{ name, messages }], path), path).toBe(num(theirs[index], "mnt_id"));
}

async function sameThread(dir: string, dump: ShownDump, tid: number): Promise<void> {
  const name = `core-${tid}.img`;
  const [bytes = Buffer.alloc(0)] = await messagesOf(dir, name, "core");
  const theirs = entriesOf(dump, name)[0];
  const thread = inner(theirs, "thread_core");
  const isDead = num(inner(theirs, "tc"), "task_state") === 2;
  const expected = { tid, mode: seccompModeOf(thread), filter: num(thread, "seccomp_filter") };
  expect(theirs?.["mtype"]).toBe("X86_64");
  expect(readThread(parseMessage(bytes, name), tid, name)).toEqual(isDead ? undefined : expected);
}

async function sameFiles(dir: string, dump: ShownDump): Promise<void> {
  const { paths, freeId } = readFileTable(await messagesOf(dir, "files.img", "files"), "files.img");
  const theirs = entriesOf(dump, "files.img");
  const regular = theirs.filter((file) => file["type"] === "REG");
  expect(regular.length).toBeGreaterThan(0);
  expect([...paths]).toEqual(regular.map((file) => [num(file, "id"), inner(file, "reg")?.["name"]]));
  expect(freeId).toBe(Math.max(...theirs.map((file) => num(file, "id"))) + 1);
}

async function sameFilters(dir: string, dump: ShownDump): Promise<void> {
  const name = "seccomp.img";
  const [bytes = Buffer.alloc(0)] = await messagesOf(dir, name, "seccomp");
  const ours = readFilters(parseMessage(bytes, name), name);
  expect(
    ours.map(({ program, next, flags }) => ({ program: program.toString("base64"), next, flags })),
  ).toEqual(
    all(entriesOf(dump, name)[0], "seccomp_filters").map((filter) => ({
      program: String(filter["filter"]).replaceAll("\n", ""),
      next: filter["prev"],
      flags: num(filter, "flags"),
    })),
  );
}
