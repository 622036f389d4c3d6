import { setTimeout as wait } from "node:timers/promises";
import { type Command, Option } from "commander";
import { SandboxStatus, type StatsResponse } from "../../gen/ramet/v1/sandbox_pb.js";
import { isDomainError } from "../../lib/errors.js";
import { parseDuration } from "../arguments.js";
import type { Api } from "../client.js";
import { formatBytes } from "../format.js";
import { type Cli, leaf, type Session } from "../session.js";
import type { Shape } from "../shapes.js";
import { statsView } from "../views.js";

interface StatsOptions {
  readonly follow?: boolean;
  readonly stream?: boolean;
  readonly interval: number;
}

/** The share of a processor needs two readings. */
const firstIntervalMs = 250;

export function statsCommand(cli: Cli): Command {
  return leaf("stats", "Show what sandboxes use: processor, memory, processes, disk", [
    "stats",
    "stats -f a1b2",
    "stats --json a1b2",
  ])
    .argument("[sandbox...]", "ids, prefixes or names (default: all that run)")
    .option("-f, --follow", "read again and again")
    .option("--no-stream", "one reading; this is the default")
    .addOption(
      new Option("--interval <duration>", "with -f: time between readings")
        .argParser(parseDuration)
        .default(1000, "1s"),
    )
    .action(cli.action(stats));
}

async function stats(session: Session, refs: readonly string[], options: StatsOptions): Promise<void> {
  const api = await session.api();
  const { follow = false, interval } = options;
  let before = await readAll(session, api, refs);
  let waitMs = firstIntervalMs;
  do {
    await wait(waitMs, undefined, { signal: session.signal });
    const now = await readAll(session, api, refs);
    await show(
      session,
      [...now].map(([ref, it]) => statsView(ref, it, before.get(ref))),
      follow,
    );
    before = now;
    waitMs = Math.max(100, interval);
  } while (follow);
}

type Readings = ReadonlyMap<string, StatsResponse>;

async function readAll({ signal }: Session, api: Api, refs: readonly string[]): Promise<Readings> {
  const names = refs.length > 0 ? refs : await running(api, signal);
  const readings = new Map<string, StatsResponse>();
  for (const sandbox of names) {
    try {
      readings.set(sandbox, await api.sandboxes.stats({ sandbox }, { signal }));
    } catch (error) {
      // One that nobody named may stop between the list and its reading.
      const isGone = isDomainError(error, "not_found") || isDomainError(error, "failed_precondition");
      if (refs.length > 0 || !isGone) throw error;
    }
  }
  return readings;
}

async function running(api: Api, signal: AbortSignal): Promise<readonly string[]> {
  const { sandboxes } = await api.sandboxes.list({ statuses: [SandboxStatus.RUNNING] }, { signal });
  return sandboxes.map(({ id }) => id);
}

async function show(
  { out, io }: Session,
  views: readonly Shape<"stats">[],
  isFollowed: boolean,
): Promise<void> {
  if (out.isJson && isFollowed) {
    for (const view of views) await out.line("stats", view, () => "");
    return;
  }
  // A terminal is redrawn from its top.
  if (isFollowed && io.stdout.isTTY === true) io.stdout.write("\x1b[H\x1b[2J");
  const head = [
    "SANDBOX",
    "CPU",
    "MEMORY",
    "OWN",
    "SHARED UP TO",
    "LIMIT",
    "PIDS",
    "LAYER",
    "GUEST",
    "OOM KILLS",
  ];
  await out.document("stats", views, (them) => out.table(head, them.map(row)));
}

function row(view: Shape<"stats">): string[] {
  return [
    view.sandbox,
    view.cpuPercent === undefined ? "-" : `${view.cpuPercent.toFixed(1)} %`,
    formatBytes(view.memoryUsageBytes),
    formatBytes(view.memoryRssBytes),
    formatBytes(view.sharedMemoryMaxBytes),
    view.memoryLimitBytes === undefined ? "-" : formatBytes(view.memoryLimitBytes),
    view.pidsLimit === undefined ? String(view.pids) : `${view.pids} of ${view.pidsLimit}`,
    formatBytes(view.layerBytes),
    formatBytes(view.guestRssBytes),
    String(view.oomKills),
  ];
}
