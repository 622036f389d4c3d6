/**
 * The way to every sandbox's guest. One gate for each: everything that talks to a guest goes through it, so that
 * a dump finds the guest unconnected and nobody notices more of it than a pause.
 */
import { join } from "node:path";
import { connectGuest, type GuestClient } from "../guest-client/client.js";
import { protocolVersion } from "../guest-client/requests.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { waitUntil } from "../lib/signal.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import { createGate, type Gate, type Passage } from "./guest-gate.js";
import type { OpenStream } from "./guest-stream.js";

export type Guest = GuestClient;

export interface Guests {
  /**
   * One bounded operation. Waits (30 s at most) while the gate is closed for a dump. `failed_precondition`: the
   * sandbox does not run; `unavailable`: the guest does not answer, or a dump cut the operation after 5 s.
   */
  call<T>(
    id: SandboxId,
    operation: (guest: Guest, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /**
   * For one exchange over connections that a dump closes: waits as `call` does, and has a dump wait until it is over,
   * 100 ms after its begin at most.
   */
  pass(id: SandboxId, signal: AbortSignal): Promise<Passage>;
  /**
   * A long stream that a dump may cut: `open` is called again at the gate's next opening, and goes on from what
   * its last iterable gave. Iterables have to throw `unavailable` when the guest closes. Ends with `remove`'s
   * reason when the sandbox goes. For one reader; leaving it early closes the connection.
   */
  stream<T>(id: SandboxId, open: OpenStream<T>, signal: AbortSignal): AsyncIterable<T>;
  /**
   * Before a dump: holds back new calls, waits (5 s at most) for those in flight, then quiesces the guest, which
   * closes all connections. After a failure `open` has to be called as after a success.
   */
  close(id: SandboxId, signal: AbortSignal): Promise<void>;
  /** After the thaw: streams follow again where they stopped, then the guest lets output go on, and calls too. */
  open(id: SandboxId, signal: AbortSignal): Promise<void>;
  /** A sandbox became reachable at its guest directory. Waits (30 s at most) until the guest answers. */
  add(id: SandboxId, guestDir: string, signal: AbortSignal): Promise<void>;
  /** It is gone or paused: calls and streams end with the reason. */
  remove(id: SandboxId, reason: DomainError): void;
}

const answerMs = 30_000;
const answerPollMs = 5;

export function openGuests({ log }: { readonly log: Pick<Logger, "warn"> }): Guests {
  const gates = new Map<SandboxId, Gate>();

  function gateOf(id: SandboxId): Gate {
    const gate = gates.get(id);
    if (gate !== undefined) return gate;
    throw new DomainError("failed_precondition", `sandbox ${id} is not running`, {
      hint: `\`ramet inspect ${id}\` shows its state`,
    });
  }

  function remove(id: SandboxId, reason: DomainError): void {
    gates.get(id)?.end(reason);
    gates.delete(id);
  }

  return {
    call: async (id, operation, signal) => gateOf(id).call(operation, signal),
    pass: async (id, signal) => gateOf(id).pass(signal),
    stream: (id, open, signal) => ({
      [Symbol.asyncIterator]: () => gateOf(id).stream(open, signal)[Symbol.asyncIterator](),
    }),
    close: async (id, signal) => gateOf(id).close(signal),
    open: async (id, signal) => gateOf(id).open(signal),
    async add(id, guestDir, signal) {
      const guest = connectGuest({ socketPath: join(guestDir, "guest.sock") });
      await answers(id, guest, signal);
      remove(id, new DomainError("unavailable", `sandbox ${id} was started anew`));
      gates.set(id, createGate({ id, guest, log }));
    },
    remove,
  };
}

/** Output may be held for a dump that an agent did not live to end; nobody follows it any more. */
async function answers(id: SandboxId, guest: Guest, signal: AbortSignal): Promise<void> {
  const ask = async (linked: AbortSignal) => {
    try {
      return await guest.info(linked);
    } catch (thrown) {
      if (isDomainError(thrown, "unavailable")) return undefined;
      throw thrown;
    }
  };
  const info = await waitUntil(
    `waiting for the guest of sandbox ${id}`,
    ask,
    { intervalMs: answerPollMs, timeoutMs: answerMs },
    signal,
  );
  if (info.oldestVersion > protocolVersion || info.version < protocolVersion) {
    throw new DomainError(
      "failed_precondition",
      `the guest of sandbox ${id} speaks protocol ${info.oldestVersion} to ${info.version}, not ${protocolVersion}`,
      { hint: "its checkpoint is of another release; start it anew from its image" },
    );
  }
  if (info.held) await guest.release(signal);
}
