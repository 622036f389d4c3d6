/** What is to differ between two states of a dump, as crit shows them: nothing but what is named here. */
import { expect } from "vitest";
import type { ConvertedDump } from "../../../src/criu/image/convert-dump.js";
import { guardProgram } from "../../../src/criu/image/guard-program.js";
import { all, entriesOf, inner, num, type Shown, type ShownDump, seccompModeOf } from "./crit.js";
import { pagesIn } from "./crit-fields.js";

const page = 4096;
const anonymous = 0x20;
const regular = 1;
const filePrivate = 64;
const anonPrivate = 512;

/** All images but these are what they were. */
function othersAreSame(before: ShownDump, after: ShownDump, changed: readonly string[]): void {
  const rest = ({ images, others }: ShownDump) =>
    new Map<string, unknown>([...images, ...others].filter(([name]) => !changed.includes(name)));
  expect([...rest(after).keys()].sort()).toEqual([...rest(before).keys()].sort());
  for (const [name, image] of rest(before)) expect(rest(after).get(name), name).toEqual(image);
}

/** The processes that got memory files map them, and have only the pages that are left. */
export function onlyConverted(
  before: ShownDump,
  after: ShownDump,
  { processes }: ConvertedDump,
  memoryPath: string,
): void {
  const changed = ["files.img"];
  const had = entriesOf(before, "files.img");
  const files = entriesOf(after, "files.img");
  expect(files.slice(0, had.length)).toEqual(had);
  const added = new Map(files.slice(had.length).map((file) => [inner(file, "reg")?.["name"], file]));
  expect(added.size).toBe(files.length - had.length);
  for (const { pid, file, keptPages } of processes) {
    if (file === undefined) continue;
    const entry = added.get(`${memoryPath}/${file.name}`);
    expect(entry).toEqual(memoryFile(num(entry, "id"), `${memoryPath}/${file.name}`, file.bytes, before));
    added.delete(`${memoryPath}/${file.name}`);
    const mapped = onlyMapped(before, after, `mm-${pid}.img`, num(entry, "id"), file.bytes);
    const name = `pagemap-${pid}.img`;
    onlyMoved(before, after, name, mapped, keptPages);
    const pages = [before, after].map((dump) => num(entriesOf(dump, name)[0], "pages_id"));
    expect(pages[1]).not.toBe(pages[0]);
    changed.push(`mm-${pid}.img`, name, ...pages.map((id) => `pages-${id}.img`));
  }
  expect([...added.keys()]).toEqual([]);
  othersAreSame(before, after, changed);
}

function memoryFile(id: number, path: string, bytes: number, before: ShownDump): Shown {
  const mounts = [...before.images].filter(([name]) => name.startsWith("mountpoints-"));
  const mount = mounts
    .flatMap(([, { entries }]) => entries)
    .findLast(({ mountpoint }) => path.startsWith(`${String(mountpoint)}/`) && mountpoint !== "/");
  const mountId = mount === undefined ? {} : { mnt_id: mount["mnt_id"] };
  const fown = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0 };
  const reg = { id, flags: 0, pos: 0, fown, name: path, ...mountId, size: bytes, mode: 0o100440 };
  return { type: "REG", id, reg };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Gives the mappings that are ones of the memory file now. Each was an anonymous private one. */
function onlyMapped(before: ShownDump, after: ShownDump, name: string, id: number, bytes: number): Range[] {
  const [had, has] = [before, after].map((dump) => entriesOf(dump, name)[0]);
  const vmas = all(has, "vmas");
  expect({ ...has, vmas: [] }, name).toEqual({ ...had, vmas: [] });
  const mapped: Range[] = [];
  const expected = all(had, "vmas").map((vma, index) => {
    const now = vmas[index];
    const wasFile = (num(vma, "status") & filePrivate) !== 0;
    if (wasFile || num(now, "shmid") !== id) return vma;
    const [start, end, offset] = [num(vma, "start"), num(vma, "end"), num(now, "pgoff")];
    expect(num(vma, "status") & (regular + anonPrivate), name).toBe(regular + anonPrivate);
    expect(offset % page).toBe(0);
    expect(offset + end - start).toBeLessThanOrEqual(bytes);
    mapped.push({ start, end });
    const changed = { pgoff: offset, shmid: id, status: regular + filePrivate, fdflags: 0 };
    return { ...vma, ...changed, flags: num(vma, "flags") - anonymous };
  });
  expect(vmas, name).toEqual(expected);
  expect(mapped.length, name).toBeGreaterThan(0);
  return mapped;
}

/** The page map has each page that it had, in the same state, but for those of these mappings. */
function onlyMoved(
  before: ShownDump,
  after: ShownDump,
  name: string,
  mapped: readonly Range[],
  keptPages: number,
): void {
  const isLeft = (at: number) => mapped.every(({ start, end }) => at < start || at >= end);
  const left = pagesOf(before, name).filter(([at]) => isLeft(at));
  expect(pagesOf(after, name), name).toEqual(left);
  expect(left.length, name).toBe(keptPages);
}

/** The address of each page, and its flags. */
function pagesOf(dump: ShownDump, name: string): [number, number][] {
  return entriesOf(dump, name)
    .slice(1)
    .flatMap((entry) =>
      Array.from({ length: pagesIn(entry) }, (_, index): [number, number] => [
        num(entry, "vaddr") + index * page,
        num(entry, "flags"),
      ]),
    );
}

/** Listener, for all threads, and calls that no signal ends. */
const guardFlags = 8 + 16 + 32;
const forAllThreads = 1;

/**
 * These threads have the guard as their first filter, in front of what they had, or it is a listener's again where they
 * had it already. Nothing else is different.
 */
export function onlyGuarded(
  before: ShownDump,
  after: ShownDump,
  guarded: readonly { readonly listeners: readonly number[] }[],
): void {
  const expected = filtersIn(before);
  const cores: string[] = [];
  for (const tid of guarded.flatMap(({ listeners }) => listeners)) {
    const name = `core-${tid}.img`;
    const [core] = entriesOf(before, name);
    const chain = chainIn(expected, inner(core, "thread_core"));
    const known = chain.find((index) => expected[index]?.["filter"] === guardProgram.toString("base64"));
    if (known !== undefined) {
      expected[known] = { ...expected[known], flags: num(expected[known], "flags") | guardFlags };
      continue;
    }
    const prev = chain[0] === undefined ? {} : { prev: chain[0] };
    const guard = { filter: guardProgram.toString("base64"), flags: guardFlags | forAllThreads, ...prev };
    const thread = { ...inner(core, "thread_core"), seccomp_mode: "filter", seccomp_filter: expected.length };
    expect(entriesOf(after, name), name).toEqual([{ ...core, thread_core: thread }]);
    expected.push(guard);
    cores.push(name);
  }
  expect(filtersIn(after)).toEqual(expected);
  othersAreSame(before, after, ["seccomp.img", ...cores]);
}

/** Crit breaks the lines of bytes. */
const filtersIn = (dump: ShownDump): Shown[] =>
  all(entriesOf(dump, "seccomp.img")[0], "seccomp_filters").map((filter) => ({
    ...filter,
    filter: String(filter["filter"]).replaceAll("\n", ""),
  }));

function chainIn(filters: readonly Shown[], thread: Shown | undefined): number[] {
  const chain: number[] = [];
  if (seccompModeOf(thread) !== 2) return chain;
  for (let at: unknown = num(thread, "seccomp_filter"); at !== undefined; at = filters[Number(at)]?.["prev"])
    chain.push(Number(at));
  return chain;
}
