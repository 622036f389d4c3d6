/** Runs `ramet` inside the test: its own streams, environment and signals. */
import { PassThrough } from "node:stream";
import type { CaughtSignal, InputStream, Io, OutputStream } from "../../src/cli/io.js";
import { main } from "../../src/cli/main.js";

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: InputStream;
  /** Called once the command runs, with the way to signal it. */
  readonly onStart?: (signal: (name: CaughtSignal) => void) => void;
  /** Called whenever something comes out on standard output. */
  readonly onOutput?: () => void;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Buffer;
}

export async function runCli(words: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const listeners: Array<(signal: CaughtSignal) => void> = [];
  const [stdout, stderr] = [gather(options.onOutput), gather()];
  const io: Io = {
    stdin: options.stdin ?? new PassThrough().end(),
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: options.env ?? {},
    onSignal(listener) {
      listeners.push(listener);
      return () => void listeners.splice(listeners.lastIndexOf(listener), 1);
    },
  };
  const done = main(words, io);
  options.onStart?.((name) => listeners.at(-1)?.(name));
  const exitCode = await done;
  const stdoutBytes = stdout.bytes();
  return { exitCode, stdoutBytes, stdout: stdoutBytes.toString(), stderr: stderr.bytes().toString() };
}

function gather(onData = () => {}): { readonly stream: OutputStream; bytes(): Buffer } {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    onData();
  });
  return {
    stream,
    bytes: () => Buffer.concat([...chunks, (stream.read() as Buffer | null) ?? Buffer.alloc(0)]),
  };
}
