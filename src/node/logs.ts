/** Output that the guest keeps of a process (a bounded ring), and with `follow` what comes after it. */
import { disconnected } from "../guest-client/errors.js";
import type { GuestProcess } from "../guest-client/process.js";
import type { GuestProcessInfo } from "../guest-client/replies.js";
import type { ProcessTarget } from "../guest-client/requests.js";
import { DomainError } from "../lib/errors.js";
import type { Guest, Guests } from "./guests.js";
import type { LogChunk } from "./node.js";
import { findLive, type SandboxFinder } from "./running.js";

export interface LogDeps extends SandboxFinder {
  readonly guests: Pick<Guests, "call" | "stream">;
}

export interface LogOptions {
  /** Absent: the template's start command. */
  readonly pid?: number;
  readonly follow: boolean;
}

/** Tag that a template's build gives to its start command. */
export const startTag = "start";

/**
 * From the oldest byte that is kept. Ends at what had been written when it was asked for or, with `follow`, when
 * the process exits. `not_found`: no such process, or the sandbox's template has no start command.
 */
export async function* streamLogs(
  deps: LogDeps,
  ref: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogChunk> {
  const { id } = findLive(deps, ref, "show logs of");
  const listed = await deps.guests.call(id, (guest, linked) => guest.processes(linked), signal);
  const process = chosen(listed, options.pid, ref);
  const endSeq = options.follow ? Number.POSITIVE_INFINITY : process.endSeq;
  if (process.oldestSeq >= endSeq) return;
  const reading = createReading({ pid: process.pid }, endSeq);
  yield* deps.guests.stream(id, reading.open, signal);
}

function chosen(listed: readonly GuestProcessInfo[], pid: number | undefined, ref: string): GuestProcessInfo {
  const isIt = (process: GuestProcessInfo) =>
    pid === undefined ? process.tag === startTag : process.pid === pid;
  const found = listed.filter(isIt).at(-1);
  if (found !== undefined) return found;
  throw pid === undefined
    ? new DomainError("not_found", `sandbox ${ref} has no start command to show logs of`, {
        hint: "name a process by its pid",
      })
    : new DomainError("not_found", `sandbox ${ref} has no process ${pid}`);
}

function createReading(target: ProcessTarget, endSeq: number) {
  let seq = 0;

  async function* chunks(process: GuestProcess): AsyncGenerator<LogChunk> {
    let droppedBytes = process.droppedBytes;
    seq = process.startSeq;
    try {
      for await (const output of process.output) {
        seq = output.seq + output.data.length;
        const data = output.data.subarray(0, Math.max(0, endSeq - output.seq));
        if (data.length > 0)
          yield { stream: output.stream === "stderr" ? "stderr" : "stdout", data, droppedBytes };
        droppedBytes = 0;
        if (seq >= endSeq) return;
      }
    } finally {
      process.close();
    }
    if ((await process.exit).kind === "detached") throw disconnected("following the logs");
  }

  return {
    async open(guest: Guest, _attempt: number, signal: AbortSignal): Promise<AsyncIterable<LogChunk>> {
      return chunks(await guest.attach(target, { from: { seq } }, signal));
    },
  };
}
