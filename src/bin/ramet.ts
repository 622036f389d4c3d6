#!/usr/bin/env node
import { constants } from "node:os";
import { type CaughtSignal, caughtSignals, flush } from "../cli/io.js";
import { main } from "../cli/main.js";

const listeners: Array<(signal: CaughtSignal) => void> = [];
for (const signal of caughtSignals) process.on(signal, () => listeners.at(-1)?.(signal));

// A reader that went away (`ramet logs | head`) ends us as it would end any filter.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 128 + constants.signals.SIGPIPE : 1);
  });

const exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onSignal(listener) {
    listeners.push(listener);
    return () => {
      const index = listeners.lastIndexOf(listener);
      if (index >= 0) listeners.splice(index, 1);
    };
  },
});
await Promise.all([flush(process.stdout), flush(process.stderr)]);
// Standard input may still be open, which would keep the process.
process.exit(exitCode);
