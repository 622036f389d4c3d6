/** The outside of one invocation: streams, environment and signals, so that tests can bring their own. */
import type { Readable, Writable } from "node:stream";

export interface InputStream extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
}

export interface OutputStream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface Io {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Hears about signals until the returned function is called; the newest listener hears alone. */
  onSignal(listener: (signal: CaughtSignal) => unknown): () => void;
}

/** SIGPIPE stands for a reader of our output that went away. */
export const caughtSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE"] as const;
export type CaughtSignal = (typeof caughtSignals)[number];

/** Writes and waits while the reader is slower than we are. */
export async function writeAll(stream: OutputStream, data: string | Uint8Array): Promise<void> {
  if (data.length === 0 || stream.write(data)) return;
  await new Promise<void>((resolve) => {
    const finish = () => {
      for (const event of ["drain", "close", "error"]) stream.off(event, finish);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) stream.once(event, finish);
  });
}

/** Waits until all that was written has left this process. */
export function flush(stream: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write("", () => resolve());
  });
}
