import type { Command } from "commander";
import { SandboxStatus } from "../../gen/ramet/v1/sandbox_pb.js";
import { sandboxStatuses } from "../../sandbox/state.js";
import { collect } from "../arguments.js";
import { formatAge } from "../format.js";
import { type Cli, leaf, type Session, usage } from "../session.js";
import type { Shape } from "../shapes.js";
import { sandboxView } from "../views.js";

interface PsOptions {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly filter?: readonly string[];
}

export function psCommand(cli: Cli): Command {
  return leaf("ps", "List sandboxes, newest first", [
    "ps",
    "ps -a --filter label=run=42",
    "ps -q --filter status=paused",
  ])
    .alias("list")
    .option("-a, --all", "also stopped ones")
    .option("-q, --quiet", "print ids only")
    .option("-f, --filter <key=value>", "status=…, label=KEY=VALUE or name=PART (may be repeated)", collect)
    .action(
      cli.action(async ({ api, out, signal }, { all = false, quiet = false, filter = [] }: PsOptions) => {
        const { statuses, labels, names } = parseFilters(filter);
        const { sandboxes } = await (await api()).sandboxes.list({ statuses, labels }, { signal });
        const isAsked = statuses.length > 0 || all;
        const views = sandboxes
          .map(sandboxView)
          .filter((view) => isAsked || view.status !== "stopped")
          .filter((view) => names.every((part) => view.name?.includes(part)));
        await out.document("sandbox", views, (them) =>
          quiet ? them.map(({ id }) => id).join("\n") : table(out, them),
        );
      }),
    );
}

const head = ["ID", "NAME", "STATUS", "SINCE", "FROM", "CREATED"];

/** Nodes are shown where there are several: over a registry. */
function table(out: Session["out"], views: readonly Shape<"sandbox">[]): string {
  if (views.every(({ node }) => node === undefined)) return out.table(head, views.map(row));
  return out.table(
    ["NODE", ...head],
    views.map((view) => [view.node ?? "-", ...row(view)]),
  );
}

function row(view: Shape<"sandbox">): string[] {
  const now = new Date();
  const status = view.status === "stopped" ? `stopped (${view.exitCode})` : view.status;
  const ages = [formatAge(new Date(view.statusSince), now), formatAge(new Date(view.createdAt), now)];
  return [view.id, view.name ?? "-", status, ages[0] ?? "", fromWhat(view), ages[1] ?? ""];
}

function fromWhat({ origin, image }: Shape<"sandbox">): string {
  if (origin.kind === "fork") return `fork of ${origin.source}`;
  if (origin.kind === "template") return `template ${origin.template}`;
  if (origin.kind === "checkpoint") return `checkpoint ${origin.checkpoint}`;
  return `image ${image}`;
}

interface Filters {
  readonly statuses: SandboxStatus[];
  readonly labels: Record<string, string>;
  readonly names: string[];
}

export function parseFilters(filters: readonly string[]): Filters {
  const labels = new Map<string, string>();
  const parsed: Omit<Filters, "labels"> = { statuses: [], names: [] };
  for (const text of filters) {
    const [key, ...rest] = text.split("=");
    const value = rest.join("=");
    if (key === "status") parsed.statuses.push(statusOf(value));
    else if (key === "name") parsed.names.push(value);
    else if (key === "label" && rest.length >= 2) addLabel(labels, rest[0] ?? "", rest.slice(1).join("="));
    else throw usage(`filter "${text}" is not understood`, "status=…, label=KEY=VALUE or name=PART");
  }
  // Not by assignment, which a name like __proto__ would turn into no filter at all.
  return { ...parsed, labels: Object.fromEntries(labels) };
}

function addLabel(labels: Map<string, string>, name: string, value: string): void {
  const other = labels.get(name);
  if (other !== undefined && other !== value)
    throw usage(`no sandbox has both ${name}=${other} and ${name}=${value}`, "all labels have to match");
  labels.set(name, value);
}

function statusOf(word: string): SandboxStatus {
  if (word === "lost") return SandboxStatus.LOST;
  const status = sandboxStatuses.find((candidate) => candidate === word);
  if (status === undefined)
    throw usage(
      `status "${word}" does not exist`,
      `one of ${sandboxStatuses.join(", ")}; over a registry also lost`,
    );
  return SandboxStatus[status.toUpperCase() as Uppercase<typeof status>];
}
