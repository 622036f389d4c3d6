import { describe, expect, it } from "vitest";
import { type Candidate, mappingBytesMax, presentBytesMin, type Refusal, refusalOf } from "./shareable.js";
import { mapFlags, status, type Vma } from "./vma.js";

const mount = "/.ramet-memory";
const { private: isPrivate, anonymous } = mapFlags;

const plain: Vma = {
  start: 0x7f0000000000,
  end: 0x7f0000100000,
  prot: 3,
  flags: isPrivate | anonymous,
  status: status.regular | status.anonPrivate,
  advised: new Set(),
  fileId: undefined,
  offset: 0,
};

function candidate(vma: Partial<Vma>, more: Partial<Candidate> = {}): Candidate {
  return {
    vma: { ...plain, ...vma },
    presentBytes: presentBytesMin,
    pagesElsewhere: false,
    guarded: false,
    ...more,
  };
}

const withStatus = (bits: number) => candidate({ status: plain.status | bits });
const withFlags = (bits: number) => candidate({ flags: plain.flags | bits });
const advised = (...numbers: number[]) => candidate({ advised: new Set(numbers) });
const ofFile = (path: string) =>
  candidate({ status: status.regular | status.filePrivate, flags: isPrivate, fileId: 1 }, { path });

describe("a mapping is shared", () => {
  it.each<[string, Candidate]>([
    ["that is private and anonymous", candidate({})],
    ["that is the heap", withStatus(status.heap)],
    ["that reserves no swap", withFlags(mapFlags.noReserve)],
    ["that is read-only", candidate({ prot: 1 })],
    ["that nobody may use now", candidate({ prot: 0 })],
    ["with advice on huge pages", advised(14)],
    ["with advice on order, merging, forks and core dumps", advised(1, 2, 10, 12, 15, 16)],
  ])("%s", (_what, it) => expect(refusalOf(it, mount)).toBeUndefined());
});

describe("a mapping stays", () => {
  it.each<[Refusal, string, Candidate]>([
    ["earlier", "that maps an earlier memory file", ofFile(`${mount}/c1-7`)],
    ["file", "that maps another file", ofFile("/usr/lib/libc.so.6")],
    ["file", "that maps a file with a similar name", ofFile(`${mount}x/c1-7`)],
    ["special", "that is the vdso", withStatus(status.vdso)],
    ["special", "that is the vvar", withStatus(status.vvar)],
    ["special", "that is the vsyscall page", candidate({ status: status.vsyscall })],
    ["special", "that is of uprobes", withStatus(status.uprobes)],
    ["special", "that is of a socket", withStatus(status.socket)],
    ["special", "that is an AIO ring", withStatus(status.aioRing)],
    ["special", "that is not regular", candidate({ status: status.anonPrivate })],
    ["stack", "that is the stack", withStatus(status.stack)],
    ["stack", "that is a shadow stack", withStatus(status.shadowStack)],
    ["stack", "that grows down", withFlags(mapFlags.growsDown)],
    [
      "shared",
      "that is shared and anonymous",
      candidate({ status: status.regular | status.anonShared, flags: 0x21 }),
    ],
    ["shared", "that is shared by its flags", candidate({ flags: 0x21 })],
    ["shared", "that the kernel may drop", candidate({ flags: 0x28 })],
    [
      "shared",
      "that is of a file and shared",
      candidate({ status: status.regular | status.fileShared, flags: 1 }),
    ],
    ["shared", "that is SysV shared memory", withStatus(status.sysvIpc)],
    ["shared", "that is of a memfd", withStatus(status.memfd)],
    ["locked", "that is locked", withFlags(mapFlags.locked)],
    ["hugetlb", "that is of huge pages reserved by root", withFlags(mapFlags.hugeTlb)],
    ["unknown", "with a status not known here", withStatus(2 ** 18)],
    ["unknown", "that CRIU does not support", withStatus(2 ** 31)],
    ["unknown", "with flags not known here", withFlags(0x100000)],
    ["advice", "that is wiped at a fork", advised(18)],
    ["advice", "with advice not known here", advised(14, 40)],
    ["guarded", "with guards inside", candidate({}, { guarded: true })],
    ["executable", "with code", candidate({ prot: 7 })],
    ["elsewhere", "with pages in a parent", candidate({}, { pagesElsewhere: true })],
    ["small", "with few pages", candidate({}, { presentBytes: presentBytesMin - 4096 })],
    ["large", "that is longer than files can be", candidate({ end: plain.start + mappingBytesMax + 4096 })],
  ])("as %s: one %s", (reason, _what, it) => expect(refusalOf(it, mount)).toBe(reason));
});
