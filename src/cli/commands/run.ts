import type { Command } from "commander";
import type { Api } from "../client.js";
import { createInit, type NewSandboxOptions, withLimitOptions, withNameOptions } from "../create-request.js";
import {
  commandWords,
  type ProcessOptions,
  startAndFollow,
  startDetached,
  withProcessOptions,
} from "../exec-request.js";
import { type Cli, leaf, type Session, usage } from "../session.js";
import type { Shape } from "../shapes.js";
import { sandboxView } from "../views.js";

interface RunOptions extends NewSandboxOptions, ProcessOptions {
  readonly detach?: boolean;
  readonly rm?: boolean;
  readonly keep?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
}

/** Cleaning up after the command may not hang on a signal that is aborted already. */
const cleanUpMs = 120_000;

export function runCommand(cli: Cli): Command {
  const command = leaf("run", "Make a sandbox, run a command in it, and exit with its exit code", [
    "run --rm python python3 -c 'print(6*7)'",
    "run --rm -it python bash",
    "run -d --name trainer python python3 train.py",
  ])
    .argument("[template]", "template, or image where there is no such template")
    .argument("[command...]", "command and its arguments (default: the image's)")
    .option("--image <image>", "start from this image; the first argument is then the command")
    .option("-d, --detach", "print the sandbox's id and leave command and sandbox running")
    .option("--rm", "remove the sandbox when the command ends")
    .option("--keep", "leave the sandbox running when the command ends (default: it is stopped)")
    .option("--allow-privilege-escalation", "let a setuid sudo work inside (images only)")
    .passThroughOptions();
  return withProcessOptions(withNameOptions(withLimitOptions(command), cli.io)).action(cli.action(run));
}

async function run(
  session: Session,
  template: string | undefined,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  const { detach = false, rm = false, keep = false } = options;
  if (rm && (keep || detach)) throw usage("--rm excludes --keep and --detach");
  if (session.registryUrl !== undefined && !(rm || keep || detach))
    throw usage(
      "a registry has no stopped sandboxes",
      "say what is to become of this one when the command ends: --rm, --keep or --detach",
    );
  const isNamed = options.image === undefined;
  const name = isNamed ? template : undefined;
  const given = isNamed || template === undefined ? words : [template, ...words];
  // User and directory are those of the command, not the sandbox's defaults.
  const { user: _user, workdir: _workdir, ...creation } = options;
  const api = await session.api();
  const init = await createInit(api, name, creation, session.signal);
  const { sandbox: created } = await api.sandboxes.create(init, { signal: session.signal });
  const sandbox = sandboxView(created);
  if (detach) return await runDetached(session, api, { sandbox, given, options });
  try {
    if (session.out.isJson)
      await session.out.line("execEvent", { event: "created", sandbox: sandbox.id }, () => "");
    const argv = await commandOf(api, sandbox, given);
    return await startAndFollow(session, { sandbox: sandbox.id, argv, isDetached: false }, options);
  } finally {
    if (rm) await remove(api, sandbox.id);
    else if (!keep) await stop(api, sandbox.id);
  }
}

interface Run {
  readonly sandbox: Shape<"sandbox">;
  readonly given: readonly string[];
  readonly options: RunOptions;
}

async function runDetached(session: Session, api: Api, { sandbox, given, options }: Run): Promise<number> {
  try {
    const argv = await commandOf(api, sandbox, given);
    const pid = await startDetached(session, { sandbox: sandbox.id, argv, isDetached: true }, options);
    await session.out.line("execEvent", { event: "started", sandbox: sandbox.id, pid }, () => sandbox.id);
    return 0;
  } catch (error) {
    await remove(api, sandbox.id);
    throw error;
  }
}

async function commandOf(api: Api, { image }: Shape<"sandbox">, given: readonly string[]) {
  return given.length > 0 ? commandWords(given) : await imageCommand(api, image);
}

async function imageCommand(api: Api, image: string): Promise<readonly string[]> {
  const { image: found } = await api.images.get({ name: image });
  const argv = [...(found?.entrypoint ?? []), ...(found?.cmd ?? [])];
  if (argv.length === 0) throw usage(`no command was given, and the image ${image} has none`);
  return argv;
}

async function remove(api: Api, sandbox: string): Promise<void> {
  await api.sandboxes.delete({ sandbox, force: true }, { timeoutMs: cleanUpMs });
}

async function stop(api: Api, sandbox: string): Promise<void> {
  await api.sandboxes.stop({ sandbox }, { timeoutMs: cleanUpMs });
}
