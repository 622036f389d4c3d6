/** What must not be shared between clones: host name, machine id, generation, environment. */
import { createHash } from "node:crypto";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";

/** Tells the guest who it is now; it also lets go of output that it held for the dump. */
export async function giveIdentity(
  { guests }: Pick<Deps, "guests">,
  sandbox: Sandbox,
  signal: AbortSignal,
): Promise<void> {
  const identity = {
    hostname: sandbox.id,
    machineId: machineIdOf(sandbox.id),
    generation: sandbox.generation,
    env: sandbox.spec.env,
  };
  await guests.call(sandbox.id, (guest, linked) => guest.setIdentity(identity, linked), signal);
}

/** Stable for a sandbox, so that a pause and resume does not change it; 32 hexadecimal digits. */
export function machineIdOf(id: string): string {
  return createHash("sha256").update(`ramet machine-id ${id}`).digest("hex").slice(0, 32);
}
