/** The processes that a template's build runs: its start command, and its ready command until it passes. */
import { DomainError, isDomainError, toDomainError } from "../lib/errors.js";
import { waitUntil } from "../lib/signal.js";
import type { Sandbox, SandboxId, SandboxSpec } from "../sandbox/sandbox.js";
import type { TemplateSpec } from "../template/template.js";
import type { Deps } from "./deps.js";
import { startTag } from "./logs.js";
import type { TemplateProgress } from "./node.js";

/** Bytes of a ready command's output that are kept for the message. */
const outputMax = 512;

interface BuildCommand {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  readonly command: string;
}

const shell = (command: string) => ["/bin/sh", "-c", command];

/** Leaves it running; its output is what `ramet logs` shows. */
async function runStartCommand(
  { guests }: Pick<Deps, "guests">,
  { id, spec, command }: BuildCommand,
  signal: AbortSignal,
): Promise<void> {
  const { user, cwd } = spec;
  const request = { argv: shell(command), user, cwd, tag: startTag, ringBytes: 262_144 };
  await guests.call(id, (guest, linked) => guest.start(request, linked), signal);
}

/** Runs it once; passed when it exits with 0. */
async function runReadyCommand(
  { guests }: Pick<Deps, "guests">,
  { id, spec, command }: BuildCommand,
  signal: AbortSignal,
): Promise<{ passed: boolean; output: string }> {
  const { user, cwd } = spec;
  return guests.call(
    id,
    async (guest, linked) => {
      const process = await guest.spawn({ argv: shell(command), user, cwd, killOnClose: true }, linked);
      let output = "";
      const decoder = new TextDecoder();
      for await (const { data } of process.output) output = (output + decoder.decode(data)).slice(-outputMax);
      const end = await process.exit;
      await guest.forget({ pid: process.pid }, linked);
      const passed = end.kind === "exited" && end.exit.status.kind === "code" && end.exit.status.code === 0;
      return { passed, output: output.trim() };
    },
    signal,
  );
}

/** How long a start command without a ready command is looked at: one that cannot run ends within that. */
const startMs = 500;
const pollMs = 200;

export interface Start {
  readonly sandbox: Sandbox;
  readonly spec: TemplateSpec;
  readonly report: (progress: TemplateProgress) => void;
}

/**
 * Starts the start command and waits until the ready command passes. `not_found`: the default user or directory does
 * not exist; `failed_precondition`: the start command has
 * failed; one that ended well may have left something running. `deadline_exceeded`: not ready in time.
 */
export async function becomeReady(
  deps: Pick<Deps, "guests">,
  { sandbox, spec, report }: Start,
  signal: AbortSignal,
): Promise<void> {
  const { startCommand, readyCommand } = spec;
  const command = (text: string) => ({ id: sandbox.id, spec: sandbox.spec, command: text });
  await requireDefaults(deps, sandbox, signal);
  if (startCommand !== undefined) await runStartCommand(deps, command(startCommand), signal);
  if (readyCommand !== undefined) {
    report({ step: "waiting", message: `waiting for: ${readyCommand}` });
    await waitReady(deps, command(readyCommand), spec, signal);
  } else if (startCommand !== undefined) await lookAtStart(deps, sandbox.id, spec, signal);
}

/** Every process of every sandbox of it would fail without its default user and directory. */
async function requireDefaults(
  { guests }: Pick<Deps, "guests">,
  { id, spec: { user, cwd } }: Sandbox,
  signal: AbortSignal,
): Promise<void> {
  await guests.call(
    id,
    async (guest, linked) => {
      await guest.lookUpUser(user, linked);
      await guest.files.stat({ path: cwd, user }, { follow: true }, linked);
    },
    signal,
  );
}

/** What a slot's ready command may take: its template was ready when it was dumped. */
const answerMs = 10_000;

/**
 * Runs the ready command in a sandbox that was restored, so that what answers first of it has its memory: a server's
 * pages are copied from the checkpoint's when they are written to. Resolves whatever comes of it; a failure is logged.
 */
export async function answerOnce(
  deps: Pick<Deps, "guests" | "log">,
  { id, spec }: Sandbox,
  { template, readyCommand }: { readonly template: string; readonly readyCommand: string },
  signal: AbortSignal,
): Promise<void> {
  const timeout = AbortSignal.timeout(answerMs);
  const about = { slot: id, template };
  try {
    const command = { id, spec, command: readyCommand };
    const { passed, output } = await runReadyCommand(deps, command, AbortSignal.any([signal, timeout]));
    if (!passed) deps.log.warn({ ...about, output }, "the ready command does not pass in a warm slot");
  } catch (err) {
    signal.throwIfAborted();
    if (timeout.aborted)
      deps.log.warn(
        { ...about, ms: answerMs },
        "the ready command was ended in a warm slot: it took too long",
      );
    else deps.log.warn({ ...about, err }, "the ready command cannot run in a warm slot");
  }
}

async function lookAtStart(
  deps: Pick<Deps, "guests">,
  id: SandboxId,
  spec: TemplateSpec,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + startMs;
  const isOver = async (linked: AbortSignal) =>
    (await startHasEnded(deps, id, spec, linked)) || performance.now() >= until;
  await waitUntil(`the start command of ${spec.name}`, isOver, { intervalMs: 50, timeoutMs: 60_000 }, signal);
}

/** Throws when it has failed. */
async function startHasEnded(
  { guests }: Pick<Deps, "guests">,
  id: SandboxId,
  { name, image, startCommand }: TemplateSpec,
  signal: AbortSignal,
): Promise<boolean> {
  if (startCommand === undefined) return false;
  const processes = await guests.call(id, (guest, linked) => guest.processes(linked), signal);
  const status = processes.find(({ tag }) => tag === startTag)?.exit?.status;
  if (status === undefined) return false;
  if (status.kind === "code" && status.code === 0) return true;
  const how = status.kind === "code" ? `exit code ${status.code}` : `signal ${status.signal}`;
  throw new DomainError("failed_precondition", `the start command of template ${name} ended with ${how}`, {
    hint: `try it by hand: \`ramet run --rm ${image} sh -c '...'\``,
  });
}

async function waitReady(
  deps: Pick<Deps, "guests">,
  command: BuildCommand,
  spec: TemplateSpec,
  signal: AbortSignal,
): Promise<void> {
  let last = "";
  const isReady = async (linked: AbortSignal) => {
    const { passed, output } = await runReadyCommand(deps, command, linked);
    last = output;
    await startHasEnded(deps, command.id, spec, linked);
    return passed;
  };
  const limits = { intervalMs: pollMs, timeoutMs: spec.readyTimeoutMs };
  try {
    await waitUntil(`template ${spec.name}`, isReady, limits, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    if (!isDomainError(thrown, "deadline_exceeded")) throw toDomainError(thrown);
    const said = last === "" ? "it printed nothing" : `its last output: ${last}`;
    throw new DomainError(
      "deadline_exceeded",
      `template ${spec.name} was not ready within ${spec.readyTimeoutMs} ms: ${said}`,
      {
        cause: thrown,
        hint: `try the ready command by hand in a sandbox of image ${spec.image}, or allow more time`,
      },
    );
  }
}
