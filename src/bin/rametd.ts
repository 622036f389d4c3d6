#!/usr/bin/env node
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { setDefaultHighWaterMark } from "node:stream";
import { parseArgs } from "node:util";
import { describeOptions, loadAgentConfig, loadRegistryConfig } from "../config/load.js";
import { registryProgram } from "../config/registry-schema.js";
import { agentProgram, nameOfHost } from "../config/schema.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { createLogger } from "../lib/log.js";
import { openScope } from "../lib/scope.js";
/** `rametd`: signals, configuration, and one `await using` for all that runs. */
import { shipped } from "../lib/shipped.js";
import { notifyReady } from "../lib/systemd-notify.js";
import { runAgent } from "./agent.js";
import { runRegistry } from "./registry.js";

/** Of bodies on their way, in each stream: Node's own stops them at every 16 KiB, which costs more than the bytes do. */
setDefaultHighWaterMark(false, 128 * 1024);

const usages = {
  agent: `Usage: rametd agent [OPTION...]

The node daemon: serves the API that the ramet command talks to. Stopping it leaves sandboxes running.

${describeOptions(agentProgram).join("\n")}
`,
  registry: `Usage: rametd registry [OPTION...]

The service that knows several nodes: they join it, and it says where new work goes.

${describeOptions(registryProgram).join("\n")}
`,
  up: `Usage: rametd up [--config PATH] [--registry-config PATH]

A registry and the agent of this machine in one process. Without a registry configuration it wants no keys, and serves
this machine alone.

  --config PATH
      The agent's. Default: ${agentProgram.path}. Its environment variables count too.
  --registry-config PATH
      The registry's. Default: ${registryProgram.path}. Its environment variables count too.
`,
} as const;
const usage = Object.values(usages).join("\n");

const { version } = JSON.parse(readFileSync(shipped("../package.json"), "utf8")) as {
  version: string;
};

async function agent(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const config = loadAgentConfig({ argv, env: process.env });
  const log = createLogger({ level: config.logLevel });
  await using _agent = await runAgent({ config, version, log }, signal);
  log.info({ socket: config.socket, version }, "the agent is ready");
  await untilStopped(signal);
  log.info("the agent stops; sandboxes run on");
}

async function registry(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const config = loadRegistryConfig({ argv, env: process.env });
  const log = createLogger({ level: config.logLevel });
  await using _registry = await runRegistry({ config, log }, signal);
  await untilStopped(signal);
  log.info("the registry stops; sandboxes run on");
}

async function up(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const flag = { type: "string" } as const;
  const { values } = parseArgs({ args: [...argv], options: { config: flag, "registry-config": flag } });
  const named = (path: string | undefined) => (path === undefined ? [] : ["--config", path]);
  const { membership, ...config } = loadAgentConfig({ argv: named(values.config), env: process.env });
  if (membership !== undefined)
    throw new DomainError("invalid_argument", "an agent that joins a registry has none in its own process", {
      hint: "use `rametd agent`",
    });
  const registryConfig = loadRegistryConfig({
    argv: named(values["registry-config"]),
    env: { RAMET_REGISTRY_KEYS: "off", ...process.env },
  });
  const log = createLogger({ level: config.logLevel });
  await using scope = openScope();
  const { node, dataPlane } = scope.use(await runAgent({ config, version, log }, signal));
  const { dataDir } = config;
  const local = { node, dataPlane, name: nameOfHost(hostname()), dataDir, version };
  scope.use(await runRegistry({ config: registryConfig, log, local }, signal));
  await untilStopped(signal);
  log.info("registry and agent stop; sandboxes run on");
}

const commands = { agent, registry, up } as const;

async function untilStopped(signal: AbortSignal): Promise<void> {
  await notifyReady(process.env);
  if (!signal.aborted) await once(signal, "abort");
}

async function main([command, ...argv]: readonly string[]): Promise<void> {
  const name = (Object.keys(commands) as (keyof typeof commands)[]).find((known) => known === command);
  if (command === undefined || command === "--help" || argv.includes("--help")) {
    process.stdout.write(name === undefined ? usage : usages[name]);
    process.exitCode = command === undefined ? 2 : 0;
    return;
  }
  if (name === undefined) {
    process.stderr.write(`rametd: no command ${JSON.stringify(command)}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  const shutdown = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => shutdown.abort(name));
  await commands[name](argv, shutdown.signal);
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  const { code, message, hint } = toDomainError(thrown, "it failed");
  process.stderr.write(`rametd: ${message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
  process.exitCode = code === "invalid_argument" ? 2 : 1;
});
