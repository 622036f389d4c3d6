/** Servers that listen inside a sandbox. */
import type { Duplex } from "node:stream";
import { DomainError } from "../lib/errors.js";
import type { Passage } from "./guest-gate.js";
import type { Guest, Guests } from "./guests.js";
import { findLive, type SandboxFinder } from "./running.js";

export interface Ports {
  /**
   * Connects to a TCP port, on 127.0.0.1 or else ::1. The caller listens for the stream's errors and destroys it; a
   * dump of the sandbox resets it. `unavailable`: nothing listens there. `resource_exhausted`: too many are open.
   */
  dial(ref: string, port: number, signal: AbortSignal): Promise<Duplex>;
  /** For one exchange over such connections, with its beginning: a dump waits for it, as `Guests.pass` says. */
  pass(ref: string, signal: AbortSignal): Promise<Passage>;
}

export interface PortDeps extends SandboxFinder {
  readonly guests: Pick<Guests, "call" | "pass">;
}

/**
 * The guest takes 1,024 connections in all, 256 where it is of an earlier release, and holds bytes for each in the
 * sandbox's memory. What is left is for commands, files, and the dump of a pause.
 */
export const connectionsMax = 192;

export function openPorts(deps: PortDeps): Ports {
  const open = new Map<string, number>();

  function add(id: string, count: 1 | -1): void {
    const now = (open.get(id) ?? 0) + count;
    if (now === 0) open.delete(id);
    else open.set(id, now);
  }

  return {
    async dial(ref, port, signal) {
      const { id } = findLive(deps, ref, "connect to a port of");
      if ((open.get(id) ?? 0) >= connectionsMax)
        throw new DomainError("resource_exhausted", `sandbox ${id} has ${connectionsMax} connections open`, {
          hint: "close some of them",
        });
      add(id, 1);
      try {
        const dial = (guest: Guest, linked: AbortSignal) => guest.dial({ kind: "tcp", port }, {}, linked);
        const connection = await deps.guests.call(id, dial, signal);
        connection.once("close", () => add(id, -1));
        return connection;
      } catch (thrown) {
        add(id, -1);
        throw thrown;
      }
    },
    pass: async (ref, signal) => deps.guests.pass(findLive(deps, ref, "connect to a port of").id, signal),
  };
}
