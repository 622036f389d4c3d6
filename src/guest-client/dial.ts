/** Connections to servers inside the sandbox, carried through the guest. */
import type { Socket } from "node:net";
import { type GuestAddress, openCall } from "./call.js";
import { guestFrame } from "./frame.js";
import { nothing } from "./replies.js";
import { type DialTarget, dialRequest } from "./requests.js";

export interface DialOptions {
  /** Bound of connecting inside; default 10,000, at most 60,000. */
  readonly timeoutMs?: number;
}

/**
 * Connects to a port or unix socket inside the sandbox. The stream is the connection itself, half-close included;
 * the caller listens for its errors and destroys it. The signal ends with the connecting. Fails with `unavailable` if
 * nobody listens there.
 */
export async function dial(
  address: GuestAddress,
  target: DialTarget,
  options: DialOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const what = `cannot connect to ${target.kind === "tcp" ? `port ${target.port}` : target.path} in the sandbox`;
  const call = await openCall(address, { request: dialRequest(target, timeoutMs), what }, signal);
  await call.expect(guestFrame.ok, nothing, timeoutMs + address.replyMs);
  return call.detach();
}
