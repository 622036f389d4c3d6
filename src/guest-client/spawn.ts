/** Starts processes in the sandbox, and attaches to those that run. */
import { callOnce, type GuestAddress, openCall } from "./call.js";
import { guestFrame } from "./frame.js";
import { createProcess, type GuestProcess } from "./process.js";
import { resizeTerminal } from "./processes.js";
import { readAttached } from "./replies.js";
import {
  type AttachRequest,
  attachRequest,
  type ProcessTarget,
  type SpawnRequest,
  spawnRequest,
} from "./requests.js";

function startOf(spawn: SpawnRequest): string {
  return `cannot start ${JSON.stringify(spawn.argv[0] ?? "").slice(0, 120)}`;
}

/**
 * Starts a process and reads it. Fails with `not_found` for a command or user that does not exist, and leaves
 * nothing behind then. Aborting, now or later, lets go of the process.
 */
export async function spawnProcess(
  address: GuestAddress,
  spawn: SpawnRequest,
  signal: AbortSignal,
): Promise<GuestProcess> {
  const request = spawnRequest(spawn, true);
  const call = await openCall(address, { request, what: startOf(spawn) }, signal);
  const attached = await call.expect(guestFrame.ok, readAttached, address.replyMs);
  return createProcess(call, attached, (size, until) =>
    resizeTerminal(address, { pid: attached.pid }, size, until),
  );
}

/** Starts a process and leaves it to itself; the guest keeps its newest output. Returns its pid. */
export async function startProcess(
  address: GuestAddress,
  spawn: SpawnRequest,
  signal: AbortSignal,
): Promise<number> {
  const request = spawnRequest(spawn, false);
  const { pid } = await callOnce(address, { request, what: startOf(spawn) }, readAttached, signal);
  return pid;
}

/**
 * Attaches to a process, running or exited; any number of readers may. `droppedBytes` of the result says how much
 * of what was asked for is no longer kept.
 */
export async function attachProcess(
  address: GuestAddress,
  target: ProcessTarget,
  attach: AttachRequest,
  signal: AbortSignal,
): Promise<GuestProcess> {
  const request = attachRequest(target, attach);
  const what = `cannot attach to process ${"pid" in target ? target.pid : target.tag}`;
  const call = await openCall(address, { request, what }, signal);
  const attached = await call.expect(guestFrame.ok, readAttached, address.replyMs);
  return createProcess(call, attached, (size, until) =>
    resizeTerminal(address, { pid: attached.pid }, size, until),
  );
}
