import { describe, expect, it } from "vitest";
import { absentCalls, type SeccompArg, type SeccompRule, seccompProfile } from "./seccomp.js";

const matches = ({ op, value, valueTwo }: SeccompArg, arg: number) =>
  op === "SCMP_CMP_EQ" ? arg === value : (BigInt(arg) & BigInt(value)) === BigInt(valueTwo ?? 0);

/** What the filter answers to a call whose first argument is `arg`: 0 allowed, else the errno. */
function answer(name: string, arg = 0): number {
  const fits = (rule: SeccompRule) =>
    rule.names.includes(name) && (rule.args ?? []).every((condition) => matches(condition, arg));
  const rule = seccompProfile.syscalls.find(fits);
  if (rule?.action === "SCMP_ACT_ALLOW") return 0;
  return rule?.errnoRet ?? seccompProfile.defaultErrnoRet;
}

const threadFlags = 0x3d0f00;
const sigchld = 17;

describe("seccomp profile", () => {
  it.each([
    ["read", 0, 0],
    ["openat", 0, 0],
    ["execve", 0, 0],
    ["ptrace", 0, 0],
    ["sethostname", 0, 0],
    ["memfd_create", 0, 0],
    ["clone", sigchld, 0],
    ["clone", threadFlags, 0],
    ["clone", 0x10000000 | sigchld, 1],
    ["clone", 0x20000, 1],
    ["clone", 0x40000000, 1],
    ["unshare", 0x400, 0],
    ["unshare", 0x80, 1],
    ["unshare", 0x10000000, 1],
    ["unshare", 0x02000000, 1],
    ["setns", 0, 1],
    ["socket", 1, 0],
    ["socket", 2, 0],
    ["socket", 10, 0],
    ["socket", 16, 0],
    ["socket", 17, 1],
    ["socket", 38, 1],
    ["socket", 40, 1],
    ["personality", 0, 0],
    ["personality", 0xffffffff, 0],
    ["personality", 0x0400000, 1],
    ["clone3", 0, 38],
    ["io_uring_setup", 0, 38],
    ["userfaultfd", 0, 38],
    ["mount", 0, 1],
    ["umount2", 0, 1],
    ["move_mount", 0, 1],
    ["pivot_root", 0, 1],
    ["bpf", 0, 1],
    ["perf_event_open", 0, 1],
    ["kexec_load", 0, 1],
    ["kexec_file_load", 0, 1],
    ["init_module", 0, 1],
    ["finit_module", 0, 1],
    ["delete_module", 0, 1],
    ["keyctl", 0, 1],
    ["add_key", 0, 1],
    ["request_key", 0, 1],
    ["open_by_handle_at", 0, 1],
    ["reboot", 0, 1],
    ["swapon", 0, 1],
    ["settimeofday", 0, 1],
    ["clock_settime", 0, 1],
    ["syslog", 0, 1],
    ["acct", 0, 1],
    ["quotactl", 0, 1],
    ["iopl", 0, 1],
    ["modify_ldt", 0, 1],
  ])("answers %s(%i) with %i", (name, arg, errno) => expect(answer(name, arg)).toBe(errno));

  it("names each call once, apart from those that are told by their argument", () => {
    const plain = seccompProfile.syscalls
      .filter((rule) => rule.args === undefined)
      .flatMap((rule) => rule.names);
    expect(new Set(plain).size).toBe(plain.length);
    for (const name of absentCalls) expect(answer(name)).toBe(38);
    for (const name of plain) expect(name).toMatch(/^[a-z0-9_]+$/);
  });
});
