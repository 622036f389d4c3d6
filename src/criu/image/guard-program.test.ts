import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { allow, guardProgram, notify } from "./guard-program.js";

const x86 = 0xc000003e;

interface Machine {
  readonly data: Buffer;
  accumulator: number;
  index: number;
  /** The instruction that comes next. */
  next: number;
}
type Step = (machine: Machine, value: number) => void;

const jumpIf =
  (holds: (machine: Machine, value: number) => boolean): Step =>
  (machine, value) => {
    const taken = holds(machine, value) ? 2 : 3;
    machine.next += guardProgram.readUInt8(8 * (machine.next - 1) + taken);
  };

const steps = new Map<number, Step>([
  [
    0x20,
    (machine, value) => {
      machine.accumulator = machine.data.readUInt32LE(value);
    },
  ],
  [
    0x07,
    (machine) => {
      machine.index = machine.accumulator;
    },
  ],
  [
    0x05,
    (machine, value) => {
      machine.next += value;
    },
  ],
  [0x15, jumpIf(({ accumulator }, value) => accumulator === value)],
  [0x45, jumpIf(({ accumulator }, value) => (accumulator & value) !== 0)],
  [0x1d, jumpIf(({ accumulator, index }) => accumulator === index)],
  [0x2d, jumpIf(({ accumulator, index }) => accumulator > index)],
]);

/** As the kernel runs it: a machine with an accumulator and an index. */
function run(call: number, args: readonly number[], arch = x86): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call, 0);
  data.writeUInt32LE(arch, 4);
  args.forEach((value, index) => {
    data.writeBigUInt64LE(BigInt(value), 16 + 8 * index);
  });
  const machine = { data, accumulator: 0, index: 0, next: 0 };
  for (;;) {
    const at = 8 * machine.next++;
    const code = guardProgram.readUInt16LE(at);
    const value = guardProgram.readUInt32LE(at + 4);
    if (code === 0x06) return value;
    const step = steps.get(code);
    if (step === undefined) throw new Error(`instruction 0x${code.toString(16)}`);
    step(machine, value);
  }
}

const page = 4096;
const big = 2 ** 33;
const madvise = (advice: number) => run(28, [page, page, advice]);
const processMadvise = (advice: number) => run(440, [3, page, 1, advice, 0]);
const mremap = (old: number, size: number, flags: number) => run(25, [page, old, size, flags, 0]);

describe("the guard", () => {
  it.each([
    ["madvise: DONTNEED", madvise(4)],
    ["madvise: DONTNEED_LOCKED", madvise(24)],
    ["madvise: FREE", madvise(8)],
    ["madvise: GUARD_INSTALL", madvise(102)],
    ["madvise: DONTNEED with a dirty upper half", run(28, [page, page, 2 ** 32 + 4])],
    ["process_madvise: DONTNEED", processMadvise(4)],
    ["process_madvise: DONTNEED_LOCKED", processMadvise(24)],
    ["mremap: longer", mremap(page, 2 * page, 1)],
    ["mremap: longer by more than 4 GiB", mremap(page, big, 1)],
    ["mremap: longer above 4 GiB", mremap(big, big + page, 1)],
    ["mremap: longer, with a smaller lower half", mremap(2 * page, big, 0)],
    ["mremap: to a place of its own", mremap(page, page, 3)],
    ["mremap: leaving the old place", mremap(page, page, 5)],
  ])("hands over %s", (_what, action) => expect(action).toBe(notify));

  it.each([
    ["madvise: HUGEPAGE", madvise(14)],
    ["process_madvise: COLD", processMadvise(20)],
    ["mremap: shorter", mremap(2 * page, page, 1)],
    ["mremap: shorter, with a larger lower half", mremap(big, 2 * page, 0)],
    ["mremap: as long", mremap(page, page, 1)],
    ["mremap: as long, above 4 GiB", mremap(big, big, 0)],
    ["read", run(0, [4, 4, 4, 4])],
    ["call 28 of another architecture", run(28, [page, page, 4], 0x40000003)],
  ])("lets pass %s", (_what, action) => expect(action).toBe(allow));

  it("stays what it is: earlier checkpoints have it", () => {
    const sum = createHash("sha256").update(guardProgram).digest("hex");
    expect({ instructions: guardProgram.length / 8, sum }).toEqual({
      instructions: 26,
      sum: "f22b06dfbab889fc73a64079b309c7ce7008f012cc4282916b320b8debe9eb45",
    });
  });
});
