/**
 * The filter that keeps shared memory true to anonymous memory. What drops pages or grows a mapping would show what
 * the memory file has there, so these calls are handed to whoever listens; all others pass. Pure.
 */

/** What a filter looks at: include/uapi/linux/seccomp.h. Arguments are little-endian words of 64 bits. */
const at = { call: 0, arch: 4, argument: (index: number) => 16 + 8 * index };
const high = 4;

const arch = 0xc000003e;
/** x86-64. Every other architecture is refused by the profile that sandboxes have. */
const call = { mremap: 25, madvise: 28, processMadvise: 440 } as const;
/** MADV_DONTNEED, MADV_FREE, MADV_DONTNEED_LOCKED, MADV_GUARD_INSTALL. */
const dropping = [4, 8, 24, 102] as const;
const mremapFixedOrDontUnmap = 2 | 4;

export const allow = 0x7fff0000;
export const notify = 0x7fc00000;

const op = {
  load: 0x20,
  toIndex: 0x07,
  jump: 0x05,
  ifEqual: 0x15,
  ifSome: 0x45,
  ifEqualIndex: 0x1d,
  ifAboveIndex: 0x2d,
  return: 0x06,
} as const;

interface Step {
  readonly code: number;
  readonly value?: number;
  /** Where to go on, by label; the next step if not given. */
  readonly yes?: string;
  readonly no?: string;
  readonly label?: string;
}

const load = (value: number, label?: string): Step => ({
  code: op.load,
  value,
  ...(label === undefined ? {} : { label }),
});
const toIndex: Step = { code: op.toIndex };
const size = { old: at.argument(1), new: at.argument(2) };

const steps: readonly Step[] = [
  load(at.arch),
  { code: op.ifEqual, value: arch, no: "allow" },
  load(at.call),
  { code: op.ifEqual, value: call.madvise, yes: "madvise" },
  { code: op.ifEqual, value: call.processMadvise, yes: "processMadvise" },
  { code: op.ifEqual, value: call.mremap, yes: "mremap", no: "allow" },
  load(at.argument(2), "madvise"),
  { code: op.jump, yes: "advice" },
  load(at.argument(3), "processMadvise"),
  { code: op.ifEqual, value: dropping[0], yes: "notify", label: "advice" },
  { code: op.ifEqual, value: dropping[1], yes: "notify" },
  { code: op.ifEqual, value: dropping[2], yes: "notify" },
  { code: op.ifEqual, value: dropping[3], yes: "notify", no: "allow" },
  load(at.argument(3), "mremap"),
  { code: op.ifSome, value: mremapFixedOrDontUnmap, yes: "notify" },
  load(size.old + high),
  toIndex,
  load(size.new + high),
  { code: op.ifAboveIndex, yes: "notify" },
  { code: op.ifEqualIndex, no: "allow" },
  load(size.old),
  toIndex,
  load(size.new),
  { code: op.ifAboveIndex, yes: "notify" },
  { code: op.return, value: allow, label: "allow" },
  { code: op.return, value: notify, label: "notify" },
];

/** An array of struct sock_filter. Processes are known again by it: it is not changed without need. */
export const guardProgram: Buffer = assemble(steps);

/** The same, but lets all pass: for whoever has the guard and no memory to guard. */
export const idleProgram: Buffer = assemble(
  steps.map((step) => (step.label === "notify" ? { ...step, value: allow } : step)),
);

function assemble(steps: readonly Step[]): Buffer {
  const program = Buffer.alloc(8 * steps.length);
  steps.forEach(({ code, value = 0, yes, no }, index) => {
    const distance = (label: string | undefined) =>
      label === undefined ? 0 : steps.findIndex((step) => step.label === label) - index - 1;
    const jump = code === op.jump;
    program.writeUInt16LE(code, 8 * index);
    program.writeUInt8(jump ? 0 : distance(yes), 8 * index + 2);
    program.writeUInt8(distance(no), 8 * index + 3);
    program.writeUInt32LE(jump ? distance(yes) : value, 8 * index + 4);
  });
  return program;
}
