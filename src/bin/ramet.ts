#!/usr/bin/env node
import { type CaughtSignal, caughtSignals, flush } from "../cli/io.js";
import { main } from "../cli/main.js";

const listeners: Array<(signal: CaughtSignal) => void> = [];
const deliver = (signal: CaughtSignal) => listeners.at(-1)?.(signal);
for (const signal of caughtSignals) process.on(signal, () => deliver(signal));

// A reader that went away (`ramet logs | head`) ends us as it would end any filter.
for (const stream of [process.stdout, process.stderr])
  stream.once("error", (error: NodeJS.ErrnoException) => {
    stream.on("error", () => {});
    if (error.code === "EPIPE") deliver("SIGPIPE");
    else {
      if (stream === process.stdout)
        process.stderr.write(`ramet: cannot write to standard output: ${error.message}\n`);
      process.exit(1);
    }
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
