/** A real guest behind the node's gate, processes and files, recorded as a running sandbox; no containerd. */
import { createLogger } from "../../../src/lib/log.js";
import { openFiles } from "../../../src/node/file-operations.js";
import type { Files } from "../../../src/node/files.js";
import { type Guests, openGuests } from "../../../src/node/guests.js";
import { openProcesses } from "../../../src/node/process-operations.js";
import type { ExecEvent, ExecInput, ExecOptions, Processes } from "../../../src/node/processes.js";
import { parseSandboxId, type Sandbox, type SandboxId } from "../../../src/sandbox/sandbox.js";
import { type StartedGuest, startGuest } from "../guest/start-guest.js";

export interface TestSandbox {
  readonly id: SandboxId;
  readonly guest: StartedGuest;
  readonly guests: Guests;
  readonly store: { readonly sandboxes: { find(ref: string): Sandbox } };
  readonly processes: Processes;
  readonly files: Files;
  /** What a checkpoint does to the guest, without the dump. */
  dump(): Promise<void>;
  stop(): Promise<void>;
}

const ref = "abcdefghij0123456789";

export async function startSandbox(): Promise<TestSandbox> {
  const guest = await startGuest();
  const id = parseSandboxId(ref);
  const sandbox: Sandbox = {
    id,
    spec: {
      image: "test",
      env: {},
      user: "",
      cwd: "/",
      limits: {},
      allowPrivilegeEscalation: false,
      guestVersion: "test",
    },
    origin: { kind: "image", image: "test" },
    labels: {},
    generation: 1,
    snapshotKey: "none",
    createdAt: new Date(0),
    isSlot: false,
    state: { status: "running", since: new Date(0), pid: 1, pidStart: "" },
  };
  const log = createLogger({ level: "error" });
  const guests = openGuests({ log });
  const store = { sandboxes: { find: () => sandbox } };
  const deps = { guests, store, log };
  await guests.add(id, guest.dir, soon());
  return {
    ...{ id, guest, guests, store },
    processes: openProcesses(deps),
    files: openFiles(deps),
    async dump() {
      await guests.close(id, soon());
      await guests.open(id, soon());
    },
    stop: () => guest.stop(),
  };
}

export const soon = (): AbortSignal => AbortSignal.timeout(60_000);

export const options = (script: string, more: Partial<ExecOptions> = {}): ExecOptions => ({
  argv: ["bash", "-c", script],
  env: {},
  stdin: false,
  killOnClose: false,
  ...more,
});

export async function* noInput(): AsyncGenerator<ExecInput> {}

export interface Outcome {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly pid: number;
  readonly last: ExecEvent | undefined;
}

/** Reads a stream to its end, and checks that positions have no gap and no overlap. */
export async function outcome(events: AsyncIterable<ExecEvent>): Promise<Outcome> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let pid = 0;
  let seq: number | undefined;
  let last: ExecEvent | undefined;
  for await (const event of events) {
    last = event;
    if (event.kind === "started") pid = event.pid;
    if (event.kind !== "output") continue;
    const start = event.seq - event.data.length;
    if (seq !== undefined && start !== seq) throw new Error(`output at ${start} instead of ${seq}`);
    seq = event.seq;
    parts[event.stream].push(event.data);
  }
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr), pid, last };
}

/** A promise and what resolves it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
