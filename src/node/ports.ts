/** Servers that listen inside a sandbox. */
import type { Duplex } from "node:stream";
import type { Guest, Guests } from "./guests.js";
import { findLive, type SandboxFinder } from "./running.js";

export interface Ports {
  /**
   * Connects to a TCP port, on 127.0.0.1 or else ::1. The caller listens for the stream's errors and destroys it; a
   * dump of the sandbox resets it. `unavailable`: nothing listens there.
   */
  dial(ref: string, port: number, signal: AbortSignal): Promise<Duplex>;
}

export interface PortDeps extends SandboxFinder {
  readonly guests: Pick<Guests, "call">;
}

export function openPorts(deps: PortDeps): Ports {
  return {
    async dial(ref, port, signal) {
      const { id } = findLive(deps, ref, "connect to a port of");
      const dial = (guest: Guest, linked: AbortSignal) => guest.dial({ kind: "tcp", port }, {}, linked);
      return deps.guests.call(id, dial, signal);
    },
  };
}
