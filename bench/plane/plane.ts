/** What the data plane costs: files, small requests, commands and idle streams, through the gateway, beside nginx. */
import { writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { formatDuration } from "../../src/cli/format.js";
import { openScope } from "../../src/lib/scope.js";
import { writeResults } from "../output.js";
import type { Stage } from "../stage.js";
import { type Deployment, type DeployOptions, deploy, type WayName, ways } from "./deployment.js";
import {
  type Interactive,
  type InteractiveOptions,
  measureAnsweredAtOnce,
  measureInteractive,
} from "./interactive.js";
import { startPeer } from "./peer.js";
import { tableOf, targetsOf } from "./report.js";
import { measureRequests } from "./requests.js";
import { measureStreams } from "./streams.js";
import { measureTransfers } from "./transfers.js";

export const parts = ["transfers", "requests", "interactive", "streams"] as const;

export interface PlaneOptions {
  readonly rounds: number;
  readonly prefix: string;
  readonly archive: string;
  readonly parts: readonly string[];
  /** `one`, `two`, or both. */
  readonly processes: readonly string[];
  readonly sizeMib: number;
  readonly streams: number;
  readonly out: string | undefined;
  readonly json: string | undefined;
  readonly profile: string | undefined;
}

/** All of it is to be over in five minutes. What a file takes differs most from one to the next. */
const roundsMax = { transfers: 5, others: 2 };

export async function measurePlane(stage: Stage, options: PlaneOptions): Promise<void> {
  const { prefix, archive, out, json, profile } = options;
  const startedAt = new Date().toISOString();
  const rounds = Math.min(options.rounds, roundsMax.others);
  const { root } = stage;
  const begunAt = performance.now();
  const say = (text: string) => stage.say(`${formatDuration(performance.now() - begunAt)}  ${text}`);
  const has = (part: (typeof parts)[number]) => options.parts.includes(part);
  const chosen = ways.filter((name) => options.processes.includes(shortOf(name)));
  await using peer = await startPeer(root);
  await using running = await deployAll({ ...stage, say }, chosen, { prefix, archive, profile });
  const { deployments } = running;
  const transfers = has("transfers")
    ? await measureTransfers(deployments, peer, {
        rounds: Math.min(options.rounds, roundsMax.transfers),
        ...{ sizeMib: options.sizeMib, root, say },
      })
    : [];
  const requests = has("requests") ? await measureRequests(deployments, peer, { rounds, say }) : [];
  const interactive = has("interactive")
    ? await allInteractive(deployments, { rounds: Math.max(1, rounds - 1), say })
    : [];
  const streams = has("streams")
    ? await inTurn(deployments, (it) => measureStreams(it, options.streams))
    : [];
  const measured = { transfers, requests, interactive, streams, load: loadavg()[0] ?? 0 };
  const machine = {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    node: process.version,
  };
  const report = { formatVersion: 1, startedAt, machine, rounds, ...measured, targets: targetsOf(measured) };
  await writeResults(out, { name: "plane", report, table: tableOf(measured), charts: {} });
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, undefined, 1)}\n`);
  if (requests.some(({ wrong }) => wrong > 0)) process.exitCode = 1;
}

async function allInteractive(
  deployments: readonly Deployment[],
  options: InteractiveOptions,
): Promise<readonly Interactive[]> {
  const ours = await inTurn(deployments, (it) => measureInteractive(it, options));
  return [...ours, await measureAnsweredAtOnce(options)];
}

const shortOf = (name: WayName) => (name === "one process" ? "one" : "two");

async function deployAll(
  stage: Stage,
  names: readonly WayName[],
  options: Omit<DeployOptions, "name">,
): Promise<AsyncDisposable & { readonly deployments: readonly Deployment[] }> {
  await using owned = openScope();
  const deployments: Deployment[] = [];
  for (const name of names) {
    stage.say(`plane: ${name} is started`);
    deployments.push(owned.use(await deploy(stage, { name, ...options })));
  }
  const moved = owned.move();
  return { deployments, [Symbol.asyncDispose]: () => moved[Symbol.asyncDispose]() };
}

async function inTurn<T>(
  deployments: readonly Deployment[],
  measure: (deployment: Deployment) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const deployment of deployments) results.push(await measure(deployment));
  return results;
}
