/** What a registry costs: claims through its REST on a real node, many agents over the wire, its restart. */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { writeResults } from "../output.js";
import type { Stage } from "../stage.js";
import { measureWire } from "./over-the-wire.js";
import { reportOf, tableOf } from "./report.js";
import { measureRestart } from "./restart.js";
import { measureWarm } from "./warm.js";

export interface RegistryOptions {
  readonly rounds: number;
  /** Warm slots that are claimed at once. */
  readonly claims: number;
  readonly agents: number;
  readonly seconds: number;
  /** Creates under way at once, over the wire. */
  readonly atOnce: number;
  readonly recorded: number;
  readonly out: string | undefined;
  /** A directory for CPU profiles of the registry and the agents. */
  readonly profile: string | undefined;
}

export async function measureRegistry(stage: Stage, options: RegistryOptions): Promise<void> {
  const { rounds, claims, agents, seconds, atOnce, recorded, out, profile } = options;
  const { say } = stage;
  const startedAt = new Date().toISOString();
  const inDirectory = async <T>(work: (directory: string) => Promise<T>) => {
    const directory = await mkdtemp(join(stage.root, "bench-registry-"));
    try {
      return await work(directory);
    } finally {
      await rm(directory, { recursive: true });
    }
  };
  const wire = await inDirectory((directory) =>
    measureWire({ directory, agents, seconds, atOnce, profile, say }),
  );
  const warm = await measureWarm(stage, { rounds: Math.min(rounds, roundsMax), atOnce: claims });
  say(`registry: restarts with ${recorded} sandboxes recorded`);
  const restart = await inDirectory((directory) =>
    measureRestart({ directory, sandboxes: recorded, rounds: Math.min(rounds, roundsMax) }),
  );
  const report = reportOf({ wire, warm, restart });
  const machine = {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    node: process.version,
  };
  await writeResults(out, {
    name: "registry",
    report: { formatVersion: 1, startedAt, machine, ...report },
    table: tableOf(report),
    charts: {},
  });
  if (wire.wrong.length > 0) process.exitCode = 1;
}

const roundsMax = 5;
