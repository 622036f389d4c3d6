/** Commands that take several names do each in turn, say what failed, and go on with the next. */

import { toDomainError } from "../lib/errors.js";
import { exitCodeOf } from "./exit-code.js";
import { printable } from "./format.js";
import type { Session } from "./session.js";
import type { Shape } from "./shapes.js";
import { errorView } from "./views.js";

type Outcome = Shape<"outcome">;

/** Prints what `work` returns for each name; the exit code is that of the first failure. */
export async function forEachRef(
  { out, signal, io }: Session,
  refs: readonly string[],
  work: (ref: string) => Promise<Omit<Outcome, "ref" | "ok"> & { readonly text: string }>,
): Promise<number> {
  const outcomes: Outcome[] = [];
  let exitCode = 0;
  for (const ref of refs) {
    signal.throwIfAborted();
    try {
      const { text, ...rest } = await work(ref);
      outcomes.push({ ref, ok: true, ...rest });
      if (!out.isJson) io.stdout.write(`${text}\n`);
    } catch (thrown) {
      const error = toDomainError(thrown);
      exitCode ||= exitCodeOf[error.code];
      outcomes.push({ ref, ok: false, error: errorView(error) });
      if (!out.isJson) reportError(error, (line) => out.note(line));
    }
  }
  if (out.isJson) await out.document("outcome", outcomes, () => "");
  return exitCode;
}

/** `ramet: what failed`, and below it what to do. */
export function reportError(
  error: { readonly message: string; readonly hint?: string | undefined },
  print: (line: string) => void,
): void {
  // CRIU's reasons have several lines; each is printed as one.
  const [first = "", ...more] = error.message.split("\n");
  print(`ramet: ${printable(first)}`);
  for (const line of more) print(`  ${printable(line)}`);
  if (error.hint !== undefined) for (const line of error.hint.split("\n")) print(`hint: ${printable(line)}`);
}
