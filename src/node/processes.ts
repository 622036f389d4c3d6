/** Processes inside a sandbox, as the node offers them. */
export interface ExecOptions {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  readonly terminal?: TerminalSize;
  readonly stdin: boolean;
  readonly killOnClose: boolean;
  readonly tag?: string;
}
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}
export type ExitStatus =
  | { readonly kind: "code"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: number };

export type ExecEvent =
  | { readonly kind: "started"; readonly pid: number; readonly droppedBytes: number }
  | {
      readonly kind: "output";
      readonly stream: "stdout" | "stderr";
      readonly data: Uint8Array;
      readonly seq: number;
    }
  | { readonly kind: "exited"; readonly status: ExitStatus };

/** What flows into a running process's stream. */
export type ExecInput =
  | { readonly kind: "stdin"; readonly data: Uint8Array }
  | { readonly kind: "eof" }
  | { readonly kind: "resize"; readonly size: TerminalSize };

export interface ProcessInfo {
  readonly pid: number;
  readonly tag: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly terminal: boolean;
  readonly startedAt: Date;
  readonly exited?: ExitStatus;
}

export interface Processes {
  /** Starts a process; the stream lives through checkpoints and forks, and ends `unavailable` at a pause. */
  exec(
    ref: string,
    options: ExecOptions,
    input: AsyncIterable<ExecInput>,
    signal: AbortSignal,
  ): AsyncIterable<ExecEvent>;
  /** Starts a process and leaves it. */
  start(ref: string, options: ExecOptions, signal: AbortSignal): Promise<{ readonly pid: number }>;
  attach(
    ref: string,
    process: { readonly pid: number } | { readonly tag: string },
    options: { readonly afterSeq?: number },
    input: AsyncIterable<ExecInput>,
    signal: AbortSignal,
  ): AsyncIterable<ExecEvent>;
  list(ref: string, signal: AbortSignal): Promise<readonly ProcessInfo[]>;
  signal(
    ref: string,
    pid: number,
    signo: number,
    options: { readonly group: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  write(
    ref: string,
    pid: number,
    data: Uint8Array,
    options: { readonly eof: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  resize(ref: string, pid: number, size: TerminalSize, signal: AbortSignal): Promise<void>;
}
