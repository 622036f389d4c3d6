import { execFile } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import {
  identityOf,
  isDead,
  isDoomed,
  killProcess,
  parseProcStat,
  readProcessIdentity,
} from "./process-identity.js";

const fields = "1 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 200";

describe("parseProcStat", () => {
  it.each([
    ["guest", "S", false],
    ["a b", "R", false],
    ["evil) Z 1 (x", "S", false],
    ["new\nline", "D", false],
    ["", "S", false],
    ["gone", "Z", true],
  ])("reads the name %j in state %s", (name, state, dead) => {
    const stat = parseProcStat(`42 (${name}) ${state} ${fields}\n`);
    expect(stat).toEqual({ pid: 42, name, state, parentPid: 1, startTicks: "987654" });
    expect(isDead(stat)).toBe(dead);
  });

  it.each(["", "42", "42 (x) S 1 2 3", "garbage (x) S 1"])("refuses %j", (text) =>
    expect(() => parseProcStat(text)).toThrow(/unreadable/),
  );
});

describe("identity", () => {
  it("differs between boots", () => {
    const stat = parseProcStat(`42 (x) S ${fields}`);
    expect(identityOf(stat, "aaaaaaaa-1\n")).toEqual({ pid: 42, start: "aaaaaaaa-987654" });
    expect(identityOf(stat, "bbbbbbbb-1\n").start).not.toBe(identityOf(stat, "aaaaaaaa-1\n").start);
  });

  it("is steady for a live process and gone for a dead one", async () => {
    const own = await readProcessIdentity(process.pid);
    expect(own?.pid).toBe(process.pid);
    expect(await readProcessIdentity(process.pid)).toEqual(own);
    const child = execFile("true");
    await once(child, "exit");
    expect(await readProcessIdentity(child.pid ?? 0)).toBeUndefined();
  });
});

it("kills single processes only", () => {
  for (const pid of [0, 1, -1, -2, Number.NaN]) expect(() => killProcess(pid)).toThrow(/no process to kill/);
  killProcess(4_194_305);
});

describe("a process is doomed", () => {
  const status = (state: string, own: string, shared: string) =>
    `Name:\tguest\nState:\t${state}\nSigPnd:\t${own}\nShdPnd:\t${shared}\nSigBlk:\t0000000000000100\n`;
  it.each([
    ["that sleeps", status("S (sleeping)", "0000000000000000", "0000000000000000"), false],
    ["with another signal waiting", status("D (disk sleep)", "0000000000000001", "0000000000004000"), false],
    [
      "with SIGKILL waiting for all of it",
      status("D (disk sleep)", "0000000000000000", "0000000000000100"),
      true,
    ],
    [
      "with SIGKILL waiting for its thread",
      status("D (disk sleep)", "0000000000000100", "0000000000000000"),
      true,
    ],
    ["that is a zombie", status("Z (zombie)", "0000000000000000", "0000000000000000"), true],
  ])("%s: %#", (_name, text, expected) => {
    expect(isDoomed(text)).toBe(expected);
  });
});
