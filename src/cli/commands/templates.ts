import type { Command } from "commander";
import type { BuildTemplateResponse } from "../../gen/ramet/v1/template_pb.js";
import { collectPairs, parseDuration, parseWhole } from "../arguments.js";
import { type LimitOptions, limitsInit, withLimitOptions } from "../create-request.js";
import { forEachRef } from "../each.js";
import { formatAge, formatBytes } from "../format.js";
import { type Cli, group, leaf, type Session } from "../session.js";
import type { Shape } from "../shapes.js";
import { templateView } from "../views.js";

export function templateCommand(cli: Cli): Command {
  return group("template", "Templates: build, list, inspect, remove", [
    buildCommand(cli),
    listCommand(cli),
    inspectCommand(cli),
    slotsCommand(cli),
    removeCommand(cli),
  ]);
}

interface BuildOptions extends LimitOptions {
  readonly image: string;
  readonly start?: string;
  readonly ready?: string;
  readonly readyTimeout?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  readonly allowPrivilegeEscalation?: boolean;
  readonly replace?: boolean;
}

function buildCommand(cli: Cli): Command {
  const command = leaf(
    "build",
    "Start an image, wait until it is ready, and keep that instant to create from",
    [
      "template build python --image debian-python",
      "template build web --image my-web --start 'python3 -m http.server 8000' --ready 'curl -s localhost:8000'",
    ],
  )
    .argument("<name>", "name of the template: a-z, 0-9, '.', '_', '-'")
    .requiredOption("--image <image>", "image to start from")
    .option("--start <command>", "shell command to start, and to keep running (default: none)")
    .option(
      "--ready <command>",
      "shell command tried every 200 ms until it exits 0, and once in each warm slot (default: none)",
    )
    .option(
      "--ready-timeout <duration>",
      "how long it may take to get ready (default: 60s, at most 1h)",
      parseDuration,
    )
    .option("-e, --env <key=value>", "an environment variable (may be repeated)", collectPairs(cli.io.env))
    .option("-u, --user <user>", "default user of processes (default: the image's)")
    .option("-w, --workdir <path>", "default working directory (default: the image's)")
    .option("--allow-privilege-escalation", "let a setuid sudo work inside")
    .option("--replace", "replace a template of that name");
  return withLimitOptions(command).action(cli.action(build));
}

async function build(session: Session, name: string, options: BuildOptions): Promise<void> {
  const { image, start = "", ready = "", readyTimeout = 0, env = {}, user = "", workdir = "" } = options;
  const { allowPrivilegeEscalation = false, replace = false } = options;
  const request = {
    ...{ name, image, startCommand: start, readyCommand: ready, readyTimeoutMs: readyTimeout },
    ...{ env, user, cwd: workdir, allowPrivilegeEscalation, replace },
    ...limitsInit(options),
  };
  const { out, streamOptions } = session;
  const { templates } = await session.api();
  let built: BuildTemplateResponse["template"];
  {
    using progress = out.progress();
    for await (const { step, message, template } of templates.build(request, streamOptions)) {
      progress.show({ label: message === "" ? step : message });
      built = template ?? built;
    }
  }
  await out.document(
    "template",
    templateView(built),
    (it) => `${it.name}  ${formatBytes(it.memoryBytes)} of memory`,
  );
}

function listCommand(cli: Cli): Command {
  return leaf("ls", "List templates", ["template ls"])
    .alias("list")
    .action(
      cli.action(async ({ api, out, signal }) => {
        const { templates } = await (await api()).templates.list({}, { signal });
        await out.document("template", templates.map(templateView), (views) => out.table(...tableOf(views)));
      }),
    );
}

/** Nodes are shown where there are several: over a registry. */
function tableOf(views: readonly Shape<"template">[]): [head: string[], rows: string[][]] {
  const head = ["NAME", "STATUS", "IMAGE", "MEMORY", "SLOTS", "CREATED"];
  const row = ({ name, status, image, memoryBytes, slots, createdAt }: Shape<"template">) => [
    ...[name, status, image, formatBytes(memoryBytes), formatSlots(slots)],
    formatAge(new Date(createdAt), new Date()),
  ];
  if (views.every(({ node }) => node === undefined)) return [head, views.map(row)];
  return [["NODE", ...head], views.map((view) => [view.node ?? "-", ...row(view)])];
}

function inspectCommand(cli: Cli): Command {
  return leaf("inspect", "Print all that is known about a template, as JSON", ["template inspect python"])
    .argument("<template>", "name of the template")
    .action(
      cli.action(async ({ api, out, signal }, name: string) => {
        const { template } = await (await api()).templates.get({ name }, { signal });
        await out.inspection("template", templateView(template));
      }),
    );
}

function slotsCommand(cli: Cli): Command {
  return leaf(
    "slots",
    "Keep sandboxes of a template restored ahead of time, so that a create need not wait",
    ["template slots python --min 2 --max 8", "template slots python --min 0"],
  )
    .argument("<template>", "name of the template")
    .requiredOption("--min <count>", "slots to keep before any template gets more, 0 to 1000", parseWhole)
    .option("--max <count>", "slots to keep where memory allows, up to 1000 (default: as --min)", parseWhole)
    .action(
      cli.action(async ({ api, out, signal }, name: string, { min, max = min }: SlotOptions) => {
        const { template } = await (await api()).templates.setSlots({ name, min, max }, { signal });
        await out.document(
          "template",
          templateView(template),
          (it) => `${it.name}  ${formatSlots(it.slots)}`,
        );
      }),
    );
}

interface SlotOptions {
  readonly min: number;
  readonly max?: number;
}

/** Ready of wanted, e.g. `2 of 2-8`. */
function formatSlots({ min, max, ready }: { min: number; max: number; ready: number }): string {
  return max === 0 ? "-" : `${ready} of ${min === max ? max : `${min}-${max}`}`;
}

function removeCommand(cli: Cli): Command {
  return leaf("rm", "Remove templates; sandboxes made from them live on", ["template rm python"])
    .argument("<template...>", "names of the templates")
    .action(
      cli.action(async (session, names: string[]) => {
        const { templates } = await session.api();
        return await forEachRef(session, names, async (name) => {
          await templates.delete({ name }, { signal: session.signal });
          return { text: name };
        });
      }),
    );
}
