/** A socket as something to pull from: bytes on demand, and a wait for news with a bound. */
import type { Socket } from "node:net";
import { DomainError, toDomainError } from "../lib/errors.js";
import { disconnected } from "./errors.js";
import type { Intake } from "./intake.js";

/** One bound over several waits, so that news in small pieces cannot stretch it. */
export interface Deadline {
  readonly withinMs: number;
  readonly endsAt: number;
}

export function deadlineAfter(withinMs: number | undefined): Deadline | undefined {
  return withinMs === undefined ? undefined : { withinMs, endsAt: performance.now() + withinMs };
}

export interface Link {
  /** Bytes that have arrived, if any. The socket reads ahead no more than its own buffer. */
  read(): Buffer | undefined;
  /** Bytes or the end of the stream are there to be read, or the link has failed. */
  hasNews(): boolean;
  /** The other side has closed, or reset; bytes may still be there to be read. */
  hasEnded(): boolean;
  /** Why this side has given up: aborted, or released. */
  failure(): Error | undefined;
  /** Throws if nothing can be written any more. */
  assertOpen(): void;
  /** Resolves when something has happened: bytes, the end, a failure, room to write. */
  news(deadline: Deadline | undefined): Promise<void>;
  /** Writes all together; `needsDrain` says whether there is room for more. */
  write(...pieces: readonly Uint8Array[]): void;
  needsDrain(): boolean;
  /** Takes all listeners off; the socket is the caller's again, neither flowing nor paused. */
  release(): Socket;
}

/**
 * `what` says for messages what the connection is used for. Aborting makes the link fail. What has arrived comes from the
 * `intake` where the socket was connected with one.
 */
export function createLink(socket: Socket, what: string, signal: AbortSignal, intake?: Intake): Link {
  let ended = false;
  let aborted: Error | undefined;
  let isReleased = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const resolve of [...waiting]) resolve();
  };
  const onEnd = () => {
    ended = true;
    wake();
  };
  const onAbort = () => {
    aborted = toDomainError(signal.reason, what);
    wake();
  };
  const hasFailed = () => isReleased || aborted !== undefined;
  // Made when somebody asks: each call ends with a release, and an error takes longer than a frame.
  const failure = () => aborted ?? (isReleased ? disconnected(what) : undefined);
  socket.on("readable", wake).on("drain", wake).on("end", onEnd).on("close", onEnd).on("error", onEnd);
  intake?.onNews(wake);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();

  return {
    read() {
      // What had arrived before the abort is of no use; before a broken write it may be the guest's reason.
      if (signal.aborted) return undefined;
      if (intake !== undefined) return intake.read(socket);
      const chunk: Buffer | null = socket.read();
      return chunk ?? undefined;
    },
    hasNews: () => (intake?.bytes() ?? socket.readableLength) > 0 || ended || hasFailed(),
    hasEnded: () => ended,
    failure,
    assertOpen() {
      const reason = failure();
      if (reason !== undefined) throw reason;
      if (ended) throw disconnected(what);
    },
    news: (deadline) => waitFor(waiting, deadline, what),
    write(...pieces) {
      socket.cork();
      for (const piece of pieces) if (piece.length > 0) socket.write(piece);
      socket.uncork();
    },
    needsDrain: () => socket.writableNeedDrain,
    release() {
      isReleased = true;
      socket
        .off("readable", wake)
        .off("drain", wake)
        .off("end", onEnd)
        .off("close", onEnd)
        .off("error", onEnd);
      signal.removeEventListener("abort", onAbort);
      // A send that waits beside the reader has to learn that nothing more will come.
      wake();
      return socket;
    },
  };
}

function waitFor(waiting: Set<() => void>, deadline: Deadline | undefined, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      waiting.delete(finish);
      resolve();
    };
    const late = () => {
      waiting.delete(finish);
      reject(noAnswer(what, deadline?.withinMs ?? 0));
    };
    const timer = deadline && setTimeout(late, Math.max(0, deadline.endsAt - performance.now()));
    waiting.add(finish);
  });
}

function noAnswer(what: string, withinMs: number): DomainError {
  return new DomainError(
    "deadline_exceeded",
    `${what}: the sandbox's guest gave no answer in ${withinMs} ms`,
    {
      hint: "the sandbox may be frozen or overloaded; try again, or look at its state",
    },
  );
}
