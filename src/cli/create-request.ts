/** What `create` and `run` have in common: options of a new sandbox, and finding out what NAME means. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type { CreateSandboxRequestSchema } from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { collectPairs, parseDecimal, parseFilled, parseSize, parseWhole } from "./arguments.js";
import type { Api } from "./client.js";
import type { Io } from "./io.js";
import { usage } from "./session.js";

export type CreateInit = MessageInitShape<typeof CreateSandboxRequestSchema>;
type Pairs = Readonly<Record<string, string>>;

export interface NewSandboxOptions extends LimitOptions {
  readonly name?: string;
  readonly image?: string;
  readonly checkpoint?: string;
  readonly label?: Pairs;
  readonly env?: Pairs;
  readonly user?: string;
  readonly workdir?: string;
  readonly allowPrivilegeEscalation?: boolean;
}

export interface LimitOptions {
  readonly cpus?: number;
  readonly memory?: bigint;
  readonly pids?: number;
}

export function withLimitOptions(command: Command): Command {
  return command
    .option("--cpus <number>", "processor cores, 0.01 to 1024 (default: no limit)", parseDecimal)
    .option("-m, --memory <size>", "memory limit, e.g. 512m, at least 16m (default: no limit)", parseSize)
    .option("--pids <count>", "processes and threads, at least 8 (default: no limit)", parseWhole);
}

export function withNameOptions(command: Command, io: Io): Command {
  const env = collectPairs(io.env);
  return command
    .option("--name <name>", "a name, unique on this node: a-z, 0-9, '.', '_', '-'", parseFilled)
    .option("-l, --label <key=value>", "a label (may be repeated)", collectPairs())
    .option("-e, --env <key=value>", "an environment variable; KEY alone takes yours (may be repeated)", env);
}

export function limitsInit({ cpus, memory, pids }: LimitOptions) {
  if (cpus === undefined && memory === undefined && pids === undefined) return {};
  return { limits: { cpus, memoryBytes: memory, pids } };
}

/** `name` may be a template or, where there is no such template, an image. */
export async function createInit(
  api: Api,
  name: string | undefined,
  options: NewSandboxOptions,
  signal: AbortSignal,
): Promise<CreateInit> {
  const source = await chooseSource(api, name, options, signal);
  const common = { source, name: options.name ?? "", labels: options.label ?? {}, env: options.env ?? {} };
  const ofImage = {
    ...limitsInit(options),
    user: options.user ?? "",
    cwd: options.workdir ?? "",
    allowPrivilegeEscalation: options.allowPrivilegeEscalation ?? false,
  };
  return { ...common, ...ofImage };
}

async function chooseSource(
  api: Api,
  name: string | undefined,
  { image, checkpoint }: NewSandboxOptions,
  signal: AbortSignal,
): Promise<NonNullable<CreateInit["source"]>> {
  const [only, ...more] = [name, image, checkpoint].filter((value) => value !== undefined);
  if (only === undefined)
    throw usage("nothing to create from", "name a template, or use --image or --checkpoint");
  if (more.length > 0) throw usage("a template, --image and --checkpoint exclude each other");
  if (image !== undefined) return { case: "image", value: image };
  if (checkpoint !== undefined) return { case: "checkpoint", value: checkpoint };
  return await templateOrImage(api, only, signal);
}

async function templateOrImage(api: Api, name: string, signal: AbortSignal) {
  const isTemplate = await exists(api.templates.get({ name }, { signal }));
  if (isTemplate) return { case: "template" as const, value: name };
  if (await exists(api.images.get({ name }, { signal }))) return { case: "image" as const, value: name };
  throw new DomainError("not_found", `there is neither a template nor an image called ${name}`, {
    hint: "see `ramet template ls` and `ramet image ls`",
  });
}

/** A name that a template cannot have (`docker.io/library/debian`) is no template either. */
async function exists(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return true;
  } catch (error) {
    if (isDomainError(error, "not_found") || isDomainError(error, "invalid_argument")) return false;
    throw error;
  }
}
