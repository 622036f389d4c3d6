/** Sends the requests of a client or bidirectional stream. */
type CallEvent = "drain" | "close" | "error" | "status";

/** What is needed of a grpc-js call that takes a stream of requests. */
export interface RequestSink {
  write(message: object): boolean;
  end(): void;
  on(event: CallEvent, listener: () => void): unknown;
}

/**
 * Writes every request with back pressure. When the call is over, it stops and tells the source so, but does not
 * wait for it: a source that itself waits for something may never answer. Throws what the source throws.
 */
export async function sendAll(call: RequestSink, requests: AsyncIterable<object>): Promise<void> {
  const life = lifeOf(call);
  const source = requests[Symbol.asyncIterator]();
  for (;;) {
    const next = await life.orOver(source.next());
    if (next === "over") break;
    if (next.done === true) {
      call.end();
      return;
    }
    if (!call.write(next.value) && (await life.orOver(life.drained())) === "over") break;
  }
  source.return?.().catch(() => {});
}

/**
 * The call's end and its drains as promises. Each wait has its own promise, because racing against one that lives
 * as long as the call would keep something of every message until then.
 */
function lifeOf(call: RequestSink) {
  let isOver = false;
  let onOver = () => {};
  let onDrain = () => {};
  for (const event of ["close", "error", "status"] as const) {
    call.on(event, () => {
      isOver = true;
      onOver();
    });
  }
  call.on("drain", () => onDrain());
  return {
    drained: () =>
      new Promise<void>((resolve) => {
        onDrain = resolve;
      }),
    orOver: <T>(wait: Promise<T>) =>
      new Promise<T | "over">((resolve, reject) => {
        onOver = () => resolve("over");
        if (isOver) onOver();
        wait.then(resolve, reject);
      }),
  };
}
