#!/usr/bin/env node
/** `rametd agent`: signals, configuration, and one `await using` for all that runs. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serveApi } from "../api/serve.js";
import { describeOptions, loadAgentConfig } from "../config/load.js";
import { toDomainError } from "../lib/errors.js";
import { createLogger } from "../lib/log.js";
import { notifyReady } from "../lib/systemd-notify.js";
import { startNode } from "../node/start.js";

const usage = `Usage: rametd agent [OPTION...]

The node daemon: serves the API that the ramet command talks to. Stopping it leaves sandboxes running.

${describeOptions().join("\n")}
`;

async function agent(argv: readonly string[]): Promise<void> {
  const shutdown = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => shutdown.abort(name));
  const config = loadAgentConfig({ argv, env: process.env });
  const log = createLogger({ level: config.logLevel });
  const guestBinary = fileURLToPath(new URL("../guest/guest", import.meta.url));
  const memorydBinary = fileURLToPath(new URL("../memoryd/memoryd", import.meta.url));
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  await using started = await startNode(
    { config, guestBinary, memorydBinary, version, log },
    shutdown.signal,
  );
  await using _api = await serveApi({ node: started.node, socketPath: config.socket, log }, shutdown.signal);
  log.info({ socket: config.socket, version }, "the agent is ready");
  await notifyReady(process.env);
  if (!shutdown.signal.aborted) await once(shutdown.signal, "abort");
  log.info("the agent stops; sandboxes run on");
}

async function main([command, ...argv]: readonly string[]): Promise<void> {
  if (command === undefined || command === "--help" || argv.includes("--help")) {
    process.stdout.write(usage);
    process.exitCode = command === undefined ? 2 : 0;
    return;
  }
  if (command !== "agent") {
    process.stderr.write(`rametd: no command ${JSON.stringify(command)}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  await agent(argv);
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  const { code, message, hint } = toDomainError(thrown, "rametd");
  process.stderr.write(`rametd: ${message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
  process.exitCode = code === "invalid_argument" ? 2 : 1;
});
