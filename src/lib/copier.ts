/**
 * Copies of directory trees by `cp`, started by a small shell that waits for them. The agent does not start `cp`
 * itself: fork(2) copies a process's page tables and makes each of its pages fault once more, which holds a large
 * process up for some 10 ms each time, and slows it down for longer.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { DomainError } from "./errors.js";

export interface Copier extends Disposable {
  /**
   * Copies what is in one directory into another, which is there already and gets its owner, mode and times. Hard
   * links, holes, extended attributes, devices and FIFOs stay what they are; data is shared where the disk can do it.
   */
  copy(from: string, to: string): Promise<void>;
}

// Reads three lines for each copy; answers with its number, and what cp complained of, its lines kept apart by a
// character. Each copy is forked twice, so that nobody collects what has ended but init.
const script = `
while IFS= read -r id && IFS= read -r from && IFS= read -r to; do
  ( (
    said=$(cp -a --reflink=auto --sparse=auto -- "$from/." "$to" 2>&1)
    [ $? -eq 0 ] && said= || said=\${said:-cp failed}
    printf '%s %.2000s\\n' "$id" "$(printf %s "$said" | tr '\\n' '\\037')"
  ) & )
done`;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (thrown: unknown) => void;
}

interface Helper {
  readonly process: ChildProcessWithoutNullStreams;
  readonly waiting: Map<string, Waiting>;
}

export interface CopierOptions {
  /** Matches paths that come and go while they are copied: one that has gone is no failure. */
  readonly passing?: RegExp;
}

/** Starts the shell, and another one should it end. Disposing lets copies that run go on to their end. */
export function openCopier({ passing }: CopierOptions = {}): Copier {
  let helper: Helper | undefined = startHelper();
  let copies = 0;

  function startHelper(): Helper {
    const process = spawn("/bin/sh", ["-c", script], {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    });
    const started = { process, waiting: new Map<string, Waiting>() };
    createInterface(process.stdout).on("line", (line) => settle(started, line, passing));
    process.once("exit", () => {
      if (helper === started) helper = undefined;
    });
    // "close", once the last copy has ended too, tells everybody.
    process.on("error", () => {});
    process.stdin.on("error", () => {});
    process.once("close", () => {
      if (helper === started) helper = undefined;
      for (const { reject } of started.waiting.values())
        reject(failure("the shell that starts cp has ended"));
    });
    return started;
  }

  return {
    copy: (from, to) =>
      new Promise((resolve, reject) => {
        if (`${from}${to}`.includes("\n"))
          throw failure(`there is a line break in ${JSON.stringify([from, to])}`);
        helper ??= startHelper();
        const id = String(++copies);
        helper.waiting.set(id, { resolve, reject });
        helper.process.stdin.write(`${id}\n${from}\n${to}\n`);
      }),
    [Symbol.dispose]: () => helper?.process.stdin.end(),
  };
}

function settle({ waiting }: Helper, line: string, passing: RegExp | undefined): void {
  const [, id = "", said = ""] = /^(\d+) (.*)$/.exec(line) ?? [];
  const waiter = waiting.get(id);
  waiting.delete(id);
  const isFine = (text: string) => passing?.test(text) === true && text.endsWith("No such file or directory");
  const complaints = said.split("\x1f").filter((text) => text.trim() !== "" && !isFine(text));
  if (complaints.length === 0) waiter?.resolve();
  else waiter?.reject(failure(complaints.join(" ").trim()));
}

function failure(why: string): DomainError {
  if (!why.includes("No space left on device"))
    return new DomainError("internal", `copying files failed: ${why}`);
  return new DomainError("resource_exhausted", `copying files failed: ${why}`, {
    hint: "free disk space in the data directory and try again",
  });
}
