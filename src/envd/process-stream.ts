/** What a process writes, as the events of Start and Connect. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProcessEventSchema } from "../gen/e2b/process_pb.js";
import { linkSignals } from "../lib/signal.js";
import type { ExecEvent } from "../node/processes.js";
import type { EnvdCall, EnvdDeps } from "./deps.js";
import { endEvent } from "./exit-status.js";
import { silence, withSilence } from "./keepalive.js";
import { limitTime } from "./time-limit.js";

type Event = MessageInitShape<typeof ProcessEventSchema>;
type Answer = { readonly event: Event };

export interface Followed {
  readonly open: (signal: AbortSignal) => AsyncIterable<ExecEvent>;
  readonly isTerminal: boolean;
  /** How long the process may live from now on, where the call has started it. */
  readonly timeoutMs?: number;
}

/** An abort is heeded once the process is known: what is being started by then could not be ended in time. */
export async function* answersOf(
  deps: EnvdDeps,
  { sandbox, keepaliveMs }: EnvdCall,
  { open, isTerminal, timeoutMs }: Followed,
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  const endsAt = performance.now() + (timeoutMs ?? 0);
  let isStarted = false;
  let limit: Disposable | undefined;
  using following = linkSignals();
  const leave = () => {
    if (isStarted) following.abort(signal.reason);
  };
  signal.addEventListener("abort", leave, { once: true });
  try {
    signal.throwIfAborted();
    for await (const item of withSilence(open(following.signal), keepaliveMs)) {
      if (item !== silence && item.kind === "started") {
        isStarted = true;
        const afterMs = endsAt - performance.now();
        if (timeoutMs !== undefined) limit = limitTime(deps, { sandbox, pid: item.pid, afterMs });
      }
      if (item !== silence && item.kind === "exited") limit?.[Symbol.dispose]();
      signal.throwIfAborted();
      yield { event: item === silence ? keepalive : eventOf(item, isTerminal) };
    }
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

const keepalive: Event = { event: { case: "keepalive", value: {} } };

function eventOf(event: ExecEvent, isTerminal: boolean): Event {
  switch (event.kind) {
    case "started":
      return { event: { case: "start", value: { pid: event.pid } } };
    case "output": {
      const stream = isTerminal ? "pty" : event.stream;
      return { event: { case: "data", value: { output: { case: stream, value: bytes(event.data) } } } };
    }
    case "exited":
      return { event: { case: "end", value: endEvent(event.status) } };
  }
}

/** The type of messages rules out shared memory, which nothing here has. */
const bytes = (data: Uint8Array) => data as Uint8Array<ArrayBuffer>;
