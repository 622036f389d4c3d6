// Makes one file of each program in dist/bin: to find, read and compile a thousand of them takes longer than most
// commands do. What is loaded later is in there too, so that a build does not change a daemon that runs.
import { chmod, rm } from "node:fs/promises";
import { rolldown } from "rolldown";

/** google-protobuf has an eval that is never called; anything else, as a module that is not found, is a mistake. */
function onLog(level, log) {
  if (level === "warn" && log.code !== "EVAL") throw new Error(log.message);
}

for (const program of ["ramet", "rametd"]) {
  const input = `dist/bin/${program}.js`;
  const bundle = await rolldown({ input, platform: "node", external: ["better-sqlite3"], onLog });
  await bundle.write({ file: input, format: "esm", codeSplitting: false });
  await bundle.close();
  await chmod(input, 0o755);
  // Of the compiler's file, which it takes the place of.
  await rm(`${input}.map`);
}
