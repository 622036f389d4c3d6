/** What commands print: one JSON document (or JSON lines for streams), or text for people. */
import { formatTable, printable } from "./format.js";
import { type Io, writeAll } from "./io.js";
import { type Progress, showProgress } from "./progress.js";
import type { Shape, ShapeName } from "./shapes.js";

export interface Output {
  readonly isJson: boolean;
  /** Prints `json` as a document of the named shape, or else what `text` makes of it. */
  document<N extends ShapeName, T extends Shape<N> | readonly Shape<N>[]>(
    shape: N,
    json: T,
    text: (json: T) => string,
  ): Promise<void>;
  /** One element of a stream: a JSON line, or text. */
  line<N extends ShapeName>(shape: N, json: Shape<N>, text: (json: Shape<N>) => string): Promise<void>;
  /** Always JSON, indented: for `inspect`. */
  inspection<N extends ShapeName>(shape: N, json: Shape<N>): Promise<void>;
  table(head: readonly string[], rows: readonly (readonly string[])[]): string;
  /** Progress on standard error, silent with --json. Work that is mostly short has `onlyOnTerminal`. */
  progress(options?: { readonly onlyOnTerminal: boolean }): Progress;
  /** A remark on standard error. */
  note(text: string): void;
  /** Bytes of a process or a file, as they are. */
  raw(stream: "stdout" | "stderr", data: Uint8Array): Promise<void>;
}

export function createOutput(io: Io, isJson: boolean): Output {
  const print = (text: string) => writeAll(io.stdout, text === "" ? "" : `${text}\n`);
  const show = <T>(json: T, text: (json: T) => string) => print(isJson ? JSON.stringify(json) : text(json));
  return {
    isJson,
    document: (_shape, json, text) => show(json, text),
    line: (_shape, json, text) => show(json, text),
    inspection: (_shape, json) => print(JSON.stringify(json, null, isJson ? 0 : 2)),
    table: formatTable,
    progress: ({ onlyOnTerminal } = { onlyOnTerminal: false }) =>
      showProgress(io.stderr, isJson || (onlyOnTerminal && io.stderr.isTTY !== true)),
    note: (text) => void io.stderr.write(`${printable(text)}\n`),
    raw: (stream, data) => writeAll(io[stream], data),
  };
}
