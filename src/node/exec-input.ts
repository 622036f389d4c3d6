/**
 * Input of a process, sent so that a dump neither loses nor repeats a byte: each piece goes on a connection of
 * its own, whose answer says that the guest took all of it; without the answer it took nothing.
 */
import { guestErrorOf } from "../guest-client/errors.js";
import { stdinBytesMax } from "../guest-client/requests.js";
import { interruptible } from "../lib/interruptible.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import type { Guest, Guests } from "./guests.js";
import type { ExecInput, TerminalSize } from "./processes.js";

type InputDeps = { readonly guests: Pick<Guests, "stream"> };

export interface InputTarget {
  readonly id: SandboxId;
  readonly pid: number;
}

/** Feeds a process until the input ends or nobody reads it any more, which is no failure. */
export async function feedProcess(
  deps: InputDeps,
  target: InputTarget,
  input: AsyncIterable<ExecInput>,
  signal: AbortSignal,
): Promise<void> {
  for await (const item of interruptible(input, signal)) {
    const isTaken = await feedItem(deps, target, item, signal).then(
      () => true,
      (thrown: unknown) => {
        if (isUnread(thrown)) return false;
        throw thrown;
      },
    );
    if (!isTaken && item.kind !== "resize") return;
  }
}

function feedItem(deps: InputDeps, target: InputTarget, item: ExecInput, signal: AbortSignal): Promise<void> {
  if (item.kind === "resize") return resize(deps, target, item.size, signal);
  const data = item.kind === "stdin" ? item.data : new Uint8Array(0);
  return writeInput(deps, target, { data, eof: item.kind === "eof" }, signal);
}

/** Resolves once the guest has taken all, however long the process takes to read it. */
export async function writeInput(
  { guests }: InputDeps,
  { id, pid }: InputTarget,
  { data, eof }: { readonly data: Uint8Array; readonly eof: boolean },
  signal: AbortSignal,
): Promise<void> {
  let at = 0;
  do {
    const piece = data.subarray(at, at + stdinBytesMax);
    at += stdinBytesMax;
    const input = { data: piece, eof: eof && at >= data.length };
    // A dump waits for the connecting (else it would meet a connection), and cuts the waiting.
    const send = async (guest: Guest, _attempt: number, linked: AbortSignal) =>
      until((await guest.sendInput({ pid }, input, linked)).taken());
    await finish(guests.stream(id, send, signal));
  } while (at < data.length);
}

async function resize(
  { guests }: InputDeps,
  { id, pid }: InputTarget,
  size: TerminalSize,
  signal: AbortSignal,
): Promise<void> {
  const tell = async (guest: Guest, _attempt: number, linked: AbortSignal) => {
    await guest.resize({ pid }, size, linked);
    return until(Promise.resolve());
  };
  await finish(guests.stream(id, tell, signal));
}

async function* until(done: Promise<void>): AsyncGenerator<void> {
  yield await done;
}

async function finish(stream: AsyncIterable<void>): Promise<void> {
  for await (const _ of stream);
}

/** The process has exited, or has closed its input. */
function isUnread(thrown: unknown): boolean {
  const code = guestErrorOf(thrown)?.code;
  return code === "closed" || code === "no_such_process";
}
