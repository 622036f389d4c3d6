/** The processes of a sandbox, through its guest. */
import { guestErrorOf } from "../guest-client/errors.js";
import type { GuestProcessInfo } from "../guest-client/replies.js";
import { DomainError } from "../lib/errors.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import { type ExecDeps, followProcess, spawnError, spawnOf, withoutStdin } from "./exec.js";
import { writeInput } from "./exec-input.js";
import type { Guest } from "./guests.js";
import type { Processes, ProcessInfo } from "./processes.js";
import { findLive, type SandboxFinder } from "./running.js";

export type ProcessDeps = ExecDeps & SandboxFinder;

export function openProcesses(deps: ProcessDeps): Processes {
  return { ...openStarts(deps), ...openControl(deps) };
}

function openStarts(deps: ProcessDeps): Pick<Processes, "exec" | "start" | "attach"> {
  const { guests } = deps;
  return {
    async *exec(ref, options, input, signal) {
      const sandbox = findLive(deps, ref, "start a process in");
      const request = spawnOf(options, sandbox);
      const begin = (guest: Guest, linked: AbortSignal) => guest.spawn(request, linked).catch(rethrowSpawn);
      const takesInput = options.stdin || options.terminal !== undefined;
      const given = takesInput ? input : withoutStdin(input, signal);
      const { killOnClose } = options;
      yield* followProcess(deps, { id: sandbox.id, begin, killOnClose, input: given }, signal);
    },
    async start(ref, options, signal) {
      const sandbox = findLive(deps, ref, "start a process in");
      const request = { ...spawnOf(options, sandbox), killOnClose: false };
      const start = (guest: Guest, linked: AbortSignal) => guest.start(request, linked).catch(rethrowSpawn);
      return { pid: await guests.call(sandbox.id, start, signal) };
    },
    async *attach(ref, process, { afterSeq }, input, signal) {
      const { id } = findLive(deps, ref, "attach to a process in");
      const from = afterSeq === undefined ? "now" : { seq: afterSeq };
      const begin = (guest: Guest, linked: AbortSignal) => guest.attach(process, { from }, linked);
      yield* followProcess(deps, { id, begin, killOnClose: false, input }, signal);
    },
  };
}

function openControl(deps: ProcessDeps): Pick<Processes, "list" | "signal" | "write" | "resize"> {
  const { guests } = deps;

  async function naming<T>(id: SandboxId, pid: number, work: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (thrown) {
      const cause = guestErrorOf(thrown);
      if (cause?.code !== "no_such_process") throw thrown;
      const known = await guests.call(id, (guest, linked) => guest.processes(linked), signal);
      if (!known.some((process) => process.pid === pid)) throw thrown;
      // The guest's own error stays next to it: E2B's clients are told that there is none.
      throw new DomainError("failed_precondition", `process ${pid} has exited`, { cause });
    }
  }

  return {
    async list(ref, signal) {
      const { id } = findLive(deps, ref, "list the processes of");
      const found = await guests.call(id, (guest, linked) => guest.processes(linked), signal);
      return found.filter((process) => process.state !== "starting").map(infoOf);
    },
    async signal(ref, pid, signo, { group }, signal) {
      const { id } = findLive(deps, ref, "signal a process in");
      const send = (guest: Guest, linked: AbortSignal) => guest.signal({ pid }, { signo, group }, linked);
      await naming(id, pid, guests.call(id, send, signal), signal);
    },
    async write(ref, pid, data, { eof }, signal) {
      const { id } = findLive(deps, ref, "write to a process in");
      await naming(id, pid, writeInput(deps, { id, pid }, { data, eof }, signal), signal);
    },
    async resize(ref, pid, size, signal) {
      const { id } = findLive(deps, ref, "resize a terminal in");
      const resize = (guest: Guest, linked: AbortSignal) => guest.resize({ pid }, size, linked);
      await naming(id, pid, guests.call(id, resize, signal), signal);
    },
  };
}

function rethrowSpawn(thrown: unknown): never {
  throw spawnError(thrown);
}

function infoOf(process: GuestProcessInfo): ProcessInfo {
  const { pid, tag, argv, cwd, user, terminal, startedAt, exit } = process;
  const info = { pid, tag, argv, cwd, user, terminal, startedAt };
  if (exit === undefined) return info;
  const { status } = exit;
  return {
    ...info,
    exited: status.kind === "code" ? status : { kind: "signal", signal: status.signal },
  };
}
