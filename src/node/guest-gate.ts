/**
 * The gate of one sandbox's guest. Between close and open nothing is connected to the guest, so that it can be
 * dumped; calls wait, and streams go on afterwards where they stopped.
 */
import { DomainError, isDomainError, toDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { type LinkedSignal, linkSignals, withDeadline } from "../lib/signal.js";
import { type GuestStream, type OpenStream, openStream } from "./guest-stream.js";
import { createTurnstile, type Place, type Turnstile } from "./guest-turnstile.js";
import type { Guest } from "./guests.js";

/** One exchange over connections that lead through the guest. */
export interface Passage {
  /** It is over. */
  leave(): void;
  /** A dump of its time has closed its connections, or is about to. */
  wasCut(): boolean;
}

export interface Gate {
  call<T>(operation: (guest: Guest, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
  pass(signal: AbortSignal): Promise<Passage>;
  stream<T>(open: OpenStream<T>, signal: AbortSignal): AsyncIterable<T>;
  close(signal: AbortSignal): Promise<void>;
  open(signal: AbortSignal): Promise<void>;
  end(reason: DomainError): void;
}

export interface GateOptions {
  readonly id: string;
  readonly guest: Guest;
  readonly log: Pick<Logger, "warn">;
}

interface GateParts extends GateOptions {
  readonly turnstile: Turnstile;
  readonly streams: Set<GuestStream>;
  /** Those that no dump has cut yet. */
  readonly passages: Set<symbol>;
}

const callWaitMs = 30_000;
const callsEndMs = 5_000;
/** So long after its begin a passage is waited for: most exchanges are over by then, and of others nobody knows when. */
const passageMs = 100;
const streamsEndMs = 2_000;
const streamsBackMs = 10_000;
/** Of running time, the most that the guest allows; normally over within milliseconds after the thaw. */
const holdMs = 60_000;

export function createGate(options: GateOptions): Gate {
  const { guest } = options;
  const turnstile = createTurnstile();
  const streams = new Set<GuestStream>();
  const parts: GateParts = { ...options, turnstile, streams, passages: new Set() };

  return {
    async call(operation, signal) {
      using linked = linkSignals(signal);
      const place = await admitCall(parts, linked);
      try {
        return await operation(guest, linked.signal);
      } catch (thrown) {
        throw toDomainError(explain(turnstile, thrown), `sandbox ${options.id}`);
      } finally {
        place.leave();
      }
    },
    pass: (signal) => pass(parts, signal),
    stream: (open, signal) =>
      openStream(
        {
          guest,
          enter: turnstile.enter,
          explain: (thrown) => explain(turnstile, thrown),
          started: (stream) => streams.add(stream),
          ended: (stream) => streams.delete(stream),
          changed: turnstile.ring,
        },
        open,
        signal,
      ),
    close: (signal) => closeGate(parts, signal),
    open: (signal) => openGate(parts, signal),
    end: (reason) => endGate(parts, reason),
  };
}

/** What a guest that is gone fails with says less than why it is gone. */
function explain(turnstile: Turnstile, thrown: unknown): unknown {
  const state = turnstile.state();
  return state.kind === "ended" && isDomainError(thrown, "unavailable") ? state.reason : thrown;
}

async function admitCall({ id, turnstile }: GateParts, linked: LinkedSignal): Promise<Place> {
  const enter = (signal: AbortSignal) => turnstile.enter(false, linked.abort, signal);
  try {
    return await withDeadline(`sandbox ${id}`, callWaitMs, enter, linked.signal);
  } catch (thrown) {
    if (linked.signal.aborted || !isDomainError(thrown, "deadline_exceeded")) throw toDomainError(thrown);
    throw new DomainError("unavailable", `sandbox ${id} is being checkpointed`, {
      cause: thrown,
      hint: "try again when that is done",
    });
  }
}

async function pass(parts: GateParts, signal: AbortSignal): Promise<Passage> {
  const { passages } = parts;
  const place = await enterToPass(parts, signal);
  const mine = Symbol();
  passages.add(mine);
  const timer = setTimeout(place.leave, passageMs);
  return {
    leave() {
      passages.delete(mine);
      clearTimeout(timer);
      place.leave();
    },
    wasCut: () => !passages.has(mine),
  };
}

/** It has nothing to abort. As a rule the gate is open, and a deadline would take longer than all the rest. */
async function enterToPass(parts: GateParts, signal: AbortSignal): Promise<Place> {
  const { turnstile } = parts;
  if (turnstile.state().kind === "open") return turnstile.enter(false, () => {}, signal);
  using linked = linkSignals(signal);
  return await admitCall(parts, linked);
}

async function closeGate(parts: GateParts, signal: AbortSignal): Promise<void> {
  const { id, guest, turnstile, streams, passages } = parts;
  const { kind } = turnstile.state();
  if (kind !== "open" && kind !== "ended") {
    throw new DomainError("failed_precondition", `another dump of sandbox ${id} is under way`);
  }
  turnstile.become({ kind: "closing" });
  await endCalls(parts, signal);
  passages.clear();
  for (const stream of streams) stream.cut();
  await guest.quiesce({ holdMs }, signal);
  for (const stream of streams) stream.drain();
  turnstile.become({ kind: "closed" });
}

async function endCalls({ id, turnstile, log }: GateParts, signal: AbortSignal): Promise<void> {
  if (await turnstile.becomes(() => turnstile.inside() === 0, callsEndMs, signal)) return;
  log.warn({ sandbox: id, operations: turnstile.inside() }, "operations in the sandbox are cut for a dump");
  turnstile.abortInside(
    new DomainError("unavailable", `the operation was cut: sandbox ${id} is being checkpointed`, {
      hint: "look at what it has done, and try again",
    }),
  );
}

async function openGate(parts: GateParts, signal: AbortSignal): Promise<void> {
  const { guest, turnstile } = parts;
  if (turnstile.state().kind === "open") return;
  try {
    await bringBack(parts, signal);
    await guest.release(signal);
  } finally {
    if (turnstile.state().kind !== "ended") turnstile.become({ kind: "open" });
  }
}

/** The guest's hold ends with the release, so what streams had not yet followed by then could be lost. */
async function bringBack({ id, turnstile, streams, log }: GateParts, signal: AbortSignal): Promise<void> {
  const cut = [...streams].filter((stream) => stream.isCut());
  const allLetGo = () => cut.every((stream) => !stream.isAttached());
  // Whoever is still connected was not cut, as after a quiesce that failed, and goes on.
  if (!(await turnstile.becomes(allLetGo, streamsEndMs, signal))) {
    for (const stream of cut) if (stream.isAttached()) stream.uncut();
  }
  turnstile.become({ kind: "reopening" });
  const allBack = () => cut.every((stream) => !streams.has(stream) || !stream.isCut());
  if (await turnstile.becomes(allBack, streamsBackMs, signal)) return;
  log.warn({ sandbox: id }, "streams do not come back after a dump; the guest is released without them");
}

function endGate({ turnstile, streams }: GateParts, reason: DomainError): void {
  if (turnstile.state().kind === "ended") return;
  turnstile.become({ kind: "ended", reason });
  turnstile.abortInside(reason);
  // What the guest had sent can still be read; its connections end with it, or are closed after a while.
  for (const stream of streams) stream.cut();
  setTimeout(() => {
    for (const stream of [...streams]) stream.abort(reason);
  }, streamsEndMs).unref();
}
