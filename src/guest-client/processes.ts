/** Operations on processes that the guest has spawned, each on a connection of its own. */
import { callOnce, type GuestAddress, openCall } from "./call.js";
import { disconnected, misbehaved } from "./errors.js";
import { guestFrame } from "./frame.js";
import {
  decode,
  type GuestProcessInfo,
  nothing,
  type ProcessExit,
  readExit,
  readProcess,
} from "./replies.js";
import {
  forgetRequest,
  listRequest,
  type ProcessTarget,
  resizeRequest,
  signalRequest,
  stdinBytesMax,
  stdinRequest,
  type TerminalSize,
  waitRequest,
} from "./requests.js";

/** More than a guest can have: 1,024 running and 64 exited. */
const processesMax = 4096;

function nameOf(target: ProcessTarget): string {
  return "pid" in target ? `process ${target.pid}` : `process ${JSON.stringify(target.tag).slice(0, 80)}`;
}

/** Processes that run and the last that have exited, oldest first. */
export async function listProcesses(address: GuestAddress, signal: AbortSignal): Promise<GuestProcessInfo[]> {
  const what = "cannot list processes";
  const call = await openCall(address, { request: listRequest(), what }, signal);
  const found: GuestProcessInfo[] = [];
  try {
    await call.expect(guestFrame.ok, (reader) => reader.u32(), address.replyMs);
    for (;;) {
      const frame = await call.next(address.replyMs);
      if (frame === undefined) throw disconnected(what);
      if (frame.type === guestFrame.end)
        return checkCount(
          found,
          decode(frame.payload, (r) => r.u32()),
        );
      if (frame.type !== guestFrame.process) throw misbehaved("a frame other than a process in a list");
      if (found.length === processesMax) throw misbehaved(`a list of more than ${processesMax} processes`);
      found.push(decode(frame.payload, readProcess));
    }
  } finally {
    call.close();
  }
}

function checkCount<T>(found: T[], count: number): T[] {
  if (found.length !== count) throw misbehaved(`a list of ${found.length} that says it has ${count}`);
  return found;
}

/** Sends a signal to a process, or to its whole group; signal 0 only checks that it is there. */
export async function signalProcess(
  address: GuestAddress,
  target: ProcessTarget,
  options: { readonly signo: number; readonly group: boolean },
  signal: AbortSignal,
): Promise<void> {
  const request = signalRequest(target, options.signo, options.group);
  return callOnce(address, { request, what: `cannot signal ${nameOf(target)}` }, nothing, signal);
}

/** Changes the size of a process's terminal. */
export async function resizeTerminal(
  address: GuestAddress,
  target: ProcessTarget,
  size: TerminalSize,
  signal: AbortSignal,
): Promise<void> {
  const request = resizeRequest(target, size);
  return callOnce(address, { request, what: `cannot resize ${nameOf(target)}` }, nothing, signal);
}

/** Writes to a process's standard input; resolves once the guest has taken all of it. */
export async function writeInput(
  address: GuestAddress,
  target: ProcessTarget,
  input: { readonly data: Uint8Array; readonly eof: boolean },
  signal: AbortSignal,
): Promise<void> {
  const what = `cannot write to ${nameOf(target)}`;
  let at = 0;
  do {
    const piece = input.data.subarray(at, at + stdinBytesMax);
    at += stdinBytesMax;
    const request = stdinRequest(target, piece, input.eof && at >= input.data.length);
    await callOnce(address, { request, what }, nothing, signal, address.workMs);
  } while (at < input.data.length);
}

/** Waits, as long as the signal lets it, for a process to exit. Reads none of its output. */
export async function waitForExit(
  address: GuestAddress,
  target: ProcessTarget,
  signal: AbortSignal,
): Promise<ProcessExit> {
  const operation = { request: waitRequest(target), what: `cannot wait for ${nameOf(target)}` };
  const call = await openCall(address, operation, signal);
  try {
    await call.expect(guestFrame.ok, (reader) => reader.u32(), address.replyMs);
    return await call.expect(guestFrame.exit, readExit);
  } finally {
    call.close();
  }
}

/** Drops an exited process and what is kept of its output. */
export async function forgetProcess(
  address: GuestAddress,
  target: ProcessTarget,
  signal: AbortSignal,
): Promise<void> {
  const operation = { request: forgetRequest(target), what: `cannot forget ${nameOf(target)}` };
  return callOnce(address, operation, nothing, signal);
}
