/** A process in the sandbox that this side reads, and may write to: what SPAWN and ATTACH give. */
import type { Call } from "./call.js";
import { misbehaved } from "./errors.js";
import { guestFrame, hostFrame } from "./frame.js";
import {
  type Attached,
  decode,
  type ProcessExit,
  type ProcessOutput,
  readExit,
  readOutput,
} from "./replies.js";
import type { TerminalSize } from "./requests.js";

/** How reading ended. `detached`: the connection went first, as before a dump; attach again from `seq`. */
export type ProcessEnd =
  | { readonly kind: "exited"; readonly exit: ProcessExit }
  | { readonly kind: "detached"; readonly seq: number };

export interface ProcessInput {
  /** Resolves when the guest's side has room again; `unavailable` once the connection is gone. */
  write(data: Uint8Array): Promise<void>;
  /** Closes a pipe; on a terminal, sends its end-of-file character. */
  end(): Promise<void>;
}

export interface GuestProcess {
  /** Inside the sandbox. */
  readonly pid: number;
  /** Position of the first byte that `output` gives. */
  readonly startSeq: number;
  /** Bytes before `startSeq` that were asked for and are no longer kept. */
  readonly droppedBytes: number;
  /**
   * For one reader. The process is slowed down to its pace. Ends at exit, and when the guest lets go of the
   * connection; throws on abort and on a broken protocol. Leaving it early closes the connection.
   */
  readonly output: AsyncIterable<ProcessOutput>;
  /** Settles once `output` has been read to its end; rejects when that throws. */
  readonly exit: Promise<ProcessEnd>;
  /** Works if input was asked for. */
  readonly stdin: ProcessInput;
  resize(size: TerminalSize, signal: AbortSignal): Promise<void>;
  /** Lets go of the process, which goes on unless it was started with killOnClose. */
  close(): void;
}

export type Resize = GuestProcess["resize"];

/** Wraps a call whose OK frame has been read. */
export function createProcess(call: Call, attached: Attached, resize: Resize): GuestProcess {
  const { pid, seq, dropped } = attached;
  const ending = createEnding();
  return {
    pid,
    startSeq: seq,
    droppedBytes: dropped,
    output: readProcess(call, seq, ending),
    exit: ending.promise,
    stdin: {
      write: (data) => (data.length === 0 ? Promise.resolve() : call.send(hostFrame.stdin, data)),
      end: () => call.send(hostFrame.stdinEof),
    },
    resize,
    close: call.close,
  };
}

interface Ending {
  readonly promise: Promise<ProcessEnd>;
  readonly resolve: (end: ProcessEnd) => void;
  readonly reject: (error: unknown) => void;
}

function createEnding(): Ending {
  let resolve: Ending["resolve"] = () => {};
  let reject: Ending["reject"] = () => {};
  const promise = new Promise<ProcessEnd>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Who reads the output sees the failure there and need not look here.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

async function* readProcess(
  call: Call,
  startSeq: number,
  ending: Ending,
): AsyncGenerator<ProcessOutput, void> {
  let seq = startSeq;
  try {
    for (;;) {
      const frame = await call.next();
      if (frame === undefined) return;
      if (frame.type === guestFrame.exit) {
        ending.resolve({ kind: "exited", exit: decode(frame.payload, readExit) });
        return;
      }
      if (frame.type !== guestFrame.output) throw misbehaved("a frame other than output from a process");
      const output = decode(frame.payload, readOutput);
      if (output.seq !== seq) throw misbehaved(`output at ${output.seq} instead of ${seq}`);
      seq += output.data.length;
      yield output;
    }
  } catch (error) {
    ending.reject(error);
    throw error;
  } finally {
    ending.resolve({ kind: "detached", seq });
    call.close();
  }
}
