/** The processes that a template's build runs: its start command, and its ready command until it passes. */
import type { SandboxId, SandboxSpec } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { startTag } from "./logs.js";

/** Bytes of a ready command's output that are kept for the message. */
const outputMax = 512;

export interface BuildCommand {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  readonly command: string;
}

const shell = (command: string) => ["/bin/sh", "-c", command];

/** Leaves it running; its output is what `ramet logs` shows. */
export async function runStartCommand(
  { guests }: Pick<Deps, "guests">,
  { id, spec, command }: BuildCommand,
  signal: AbortSignal,
): Promise<void> {
  const { user, cwd } = spec;
  const request = { argv: shell(command), user, cwd, tag: startTag, ringBytes: 262_144 };
  await guests.call(id, (guest, linked) => guest.start(request, linked), signal);
}

/** Runs it once; passed when it exits with 0. */
export async function runReadyCommand(
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
