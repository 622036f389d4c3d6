/** Input whose arrival is known, for writers that a dump may cut off: what was not taken is sent again. */
import { type GuestAddress, openCall } from "./call.js";
import { guestFrame } from "./frame.js";
import { nothing } from "./replies.js";
import { type ProcessTarget, stdinRequest } from "./requests.js";

export interface SentInput {
  /**
   * Resolves once the guest has taken all of it, however long the process takes to read. `unavailable`: the
   * connection ended before, and nothing of it was taken, because the guest takes and answers in one step.
   */
  taken(): Promise<void>;
}

/** Sends one piece of at most `stdinBytesMax` bytes; resolves once connected, before it is taken. */
export async function sendInput(
  address: GuestAddress,
  target: ProcessTarget,
  input: { readonly data: Uint8Array; readonly eof: boolean },
  signal: AbortSignal,
): Promise<SentInput> {
  const request = stdinRequest(target, input.data, input.eof);
  const what = `cannot write to process ${"pid" in target ? target.pid : target.tag}`;
  const call = await openCall(address, { request, what }, signal);
  return {
    async taken() {
      try {
        await call.expect(guestFrame.ok, nothing);
      } finally {
        call.close();
      }
    },
  };
}
