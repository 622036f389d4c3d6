/** Small requests over connections that stay open, with wrk: to envd on the node, and to a server in the sandbox. */
import { formatAddress } from "../../src/lib/address.js";
import { run } from "../run.js";
import type { Deployment } from "./deployment.js";
import { insidePort } from "./inside.js";
import type { Peer } from "./peer.js";
import { envdPort, makeSandbox } from "./sandbox.js";

export interface RequestOptions {
  readonly rounds: number;
  readonly say: (text: string) => void;
}

export interface Load {
  readonly name: string;
  readonly kind: "envd" | "inside";
  /** Of each round. */
  readonly perSecond: readonly number[];
  /** Medians of the rounds. */
  readonly p50Ms: readonly number[];
  readonly p99Ms: readonly number[];
  /** Answers other than 2xx, and connections that failed. */
  readonly wrong: number;
}

export const connections = 16;
const seconds = 3;
/** What serves for days is compiled: V8 takes some ten seconds of load until the rate no longer rises. */
const warmUpSeconds = 10;

export async function measureRequests(
  deployments: readonly Deployment[],
  peer: Peer,
  { rounds, say }: RequestOptions,
): Promise<readonly Load[]> {
  const targets = [
    { name: "nginx", kind: "envd", words: [`${peer.url}/health`] },
    { name: "nginx", kind: "inside", words: [`${peer.url}/inside`] },
    ...(await Promise.all(deployments.map(ourTargets))).flat(),
  ] as const;
  const loads = targets.map(({ name, kind }) => ({ name, kind, runs: [] as WrkResult[] }));
  for (const { name, kind, words } of targets) {
    say(`plane: small requests, ${kind}, ${name}, warming up`);
    await wrk(words, warmUpSeconds);
  }
  for (let round = 1; round <= rounds; round++)
    for (const [index, { name, kind, words }] of targets.entries()) {
      say(`plane: small requests, ${kind}, ${name}, round ${round} of ${rounds}`);
      loads[index]?.runs.push(await wrk(words, seconds));
    }
  return loads.map(({ name, kind, runs }) => ({
    ...{ name, kind },
    perSecond: runs.map((it) => it.perSecond),
    p50Ms: runs.map((it) => it.p50Ms),
    p99Ms: runs.map((it) => it.p99Ms),
    wrong: runs.reduce((sum, it) => sum + it.wrong, 0),
  }));
}

async function ourTargets(deployment: Deployment) {
  const { name, address } = deployment;
  const sandbox = await makeSandbox(deployment);
  const words = (port: number, path: string) => [
    ...sandbox.headers(port),
    `http://${formatAddress(address)}${path}`,
  ];
  return [
    { name, kind: "envd", words: words(envdPort, "/health") },
    { name, kind: "inside", words: words(insidePort, "/") },
  ] as const;
}

interface WrkResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly wrong: number;
}

async function wrk(words: readonly string[], seconds: number): Promise<WrkResult> {
  const options = ["-t", "1", "-c", String(connections), "-d", `${seconds}s`, "--latency"];
  return parseWrk(await run("wrk", [...options, ...words]));
}

export function parseWrk(text: string): WrkResult {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? [];
  const failed = [...socketErrors.slice(1), /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0"];
  return {
    perSecond: number(/^Requests\/sec:\s+([\d.]+)/m),
    p50Ms: milliseconds(text, "50"),
    p99Ms: milliseconds(text, "99"),
    wrong: failed.reduce((sum, count) => sum + Number(count), 0),
  };
}

function milliseconds(text: string, percent: string): number {
  const [, value = "", unit = ""] =
    new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, "m").exec(text) ?? [];
  return Number(value || Number.NaN) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? Number.NaN);
}
