import type { Command } from "commander";
import type { ForkResponse, ForkTaken } from "../../gen/ramet/v1/sandbox_pb.js";
import { collectPairs, parseFilled, parseWhole } from "../arguments.js";
import type { NewSandboxOptions } from "../create-request.js";
import { exitCodeOf } from "../exit-code.js";
import { formatBytes, formatDuration } from "../format.js";
import type { Progress } from "../progress.js";
import { type Cli, leaf, type Session } from "../session.js";
import type { Shape } from "../shapes.js";
import { errorView, sandboxView, sent } from "../views.js";

interface ForkOptions extends NewSandboxOptions {
  readonly count: number;
  readonly quiet?: boolean;
}

export function forkCommand(cli: Cli): Command {
  return leaf(
    "fork",
    "Take one checkpoint of a running sandbox and restore it many times; the source runs on",
    ["fork a1b2", "fork a1b2 -n 8 --name policy", "fork -q a1b2 -n 100 -l run=42"],
  )
    .argument("<sandbox>", "id, prefix or name of the source")
    .option("-n, --count <count>", "how many clones, 1 to 1000", parseWhole, 1)
    .option("--name <prefix>", "call the clones PREFIX-1 to PREFIX-N", parseFilled)
    .option("-l, --label <key=value>", "a label of every clone (may be repeated)", collectPairs())
    .option(
      "-e, --env <key=value>",
      "an environment variable of every clone (may be repeated)",
      collectPairs(cli.io.env),
    )
    .option("-q, --quiet", "print only the clones' ids")
    .action(cli.action(fork));
}

export function keepCommand(cli: Cli): Command {
  return leaf("keep", "End a search: keep one clone of a fork and delete its other clones", [
    "keep policy-3",
    "keep policy-3 --replace-source",
  ])
    .argument("<clone>", "id, prefix or name of the clone to keep")
    .option("--replace-source", "delete the source as well, and take over its name")
    .action(
      cli.action(async (session, clone: string, { replaceSource = false }: { replaceSource?: boolean }) => {
        const { out, signal } = session;
        const api = await session.api();
        const { sandbox, dropped } = await api.sandboxes.keep({ sandbox: clone, replaceSource }, { signal });
        await out.document("kept", { sandbox: sandboxView(sandbox), dropped }, (it) => it.dropped.join("\n"));
      }),
    );
}

/** The exit code is that of the first clone that failed; the others live, also when it is cut off among them. */
async function fork(session: Session, source: string, options: ForkOptions): Promise<number> {
  const { out } = session;
  const { count, name = "", label = {}, env = {}, quiet = false } = options;
  const request = { sandbox: source, count, namePrefix: name, labels: label, env };
  const api = await session.api();
  const collected: Collected = { clones: [] };
  const show = () =>
    out.document("forked", forkedOf(collected), (it) => (quiet ? ids(it) : describe(session, it)));
  try {
    await collectClones(session, api.sandboxes.fork(request, session.streamOptions), { count, collected });
  } catch (thrown) {
    if (collected.clones.length > 0) await show();
    throw thrown;
  }
  await show();
  const failed = collected.clones.find((clone) => clone.error !== undefined)?.error;
  return failed === undefined ? 0 : exitCodeOf[failed.code];
}

interface Collected {
  taken?: ForkTaken;
  readonly clones: Shape<"forked">["clones"];
}

async function collectClones(
  { out }: Session,
  responses: AsyncIterable<ForkResponse>,
  { count, collected }: { readonly count: number; readonly collected: Collected },
): Promise<void> {
  using progress: Progress = out.progress({ onlyOnTerminal: true });
  progress.show({ label: "taking the checkpoint" });
  const { clones } = collected;
  for await (const { event } of responses) {
    if (event.case === "taken") collected.taken = event.value;
    if (event.case === "clone") {
      const { index, durationMs, result } = event.value;
      if (result.case === "error") clones.push({ index, durationMs, error: errorView(result.value) });
      else clones.push({ index, durationMs, sandbox: sandboxView(result.value) });
    }
    progress.show({ label: "restoring clones", done: clones.length, total: count, unit: "count" });
  }
}

function forkedOf({ taken, clones }: Collected): Shape<"forked"> {
  const { checkpoint, freezeMs, memoryBytes } = sent(taken, "checkpoint");
  clones.sort((a, b) => a.index - b.index);
  return { checkpoint, freezeMs, memoryBytes: Number(memoryBytes), clones };
}

function ids({ clones }: Shape<"forked">): string {
  return clones.flatMap(({ sandbox }) => sandbox?.id ?? []).join("\n");
}

function describe({ out }: Session, { checkpoint, freezeMs, memoryBytes, clones }: Shape<"forked">): string {
  const rows = clones.map(({ index, sandbox, error, durationMs }) => [
    String(index),
    sandbox?.id ?? "-",
    sandbox?.name ?? "-",
    sandbox?.status ?? "failed",
    formatDuration(durationMs),
    error === undefined ? "" : `${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`,
  ]);
  const frozen = `source frozen for ${formatDuration(freezeMs)}`;
  const footer = `checkpoint ${checkpoint}: ${formatBytes(memoryBytes)} of memory, ${frozen}`;
  return `${out.table(["#", "ID", "NAME", "STATUS", "TOOK", ""], rows)}\n${footer}`;
}
