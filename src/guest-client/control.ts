/** What the node asks of the guest itself: its state, and what surrounds a dump and a restore. */
import { callOnce, type GuestAddress, openCall } from "./call.js";
import { misbehaved } from "./errors.js";
import { guestFrame } from "./frame.js";
import {
  type GuestInfo,
  type GuestUsage,
  type GuestUser,
  type IdentityPart,
  nothing,
  type Quiesced,
  readIdentitySet,
  readInfo,
  readQuiesced,
  readUsage,
  readUser,
} from "./replies.js";
import {
  type IdentityRequest,
  identityRequest,
  infoRequest,
  quiesceRequest,
  releaseRequest,
  shutdownRequest,
  usageRequest,
  userRequest,
} from "./requests.js";

export async function guestInfo(address: GuestAddress, signal: AbortSignal): Promise<GuestInfo> {
  return callOnce(address, { request: infoRequest(), what: "cannot ask the guest" }, readInfo, signal);
}

export async function guestUsage(address: GuestAddress, signal: AbortSignal): Promise<GuestUsage> {
  return callOnce(address, { request: usageRequest(), what: "cannot read usage" }, readUsage, signal);
}

/** Looks a user up in the sandbox's own files; `not_found` if it is in none and no number. */
export async function lookUpUser(
  address: GuestAddress,
  user: string,
  signal: AbortSignal,
): Promise<GuestUser> {
  const what = `cannot look up user ${JSON.stringify(user).slice(0, 80)}`;
  return callOnce(address, { request: userRequest(user), what }, readUser, signal);
}

/**
 * Makes the guest ready for a dump: it closes every other connection, and holds the output of processes that had
 * a reader until `release`, `setIdentity`, or `holdMs` (at most 60,000) of running time.
 */
export async function quiesce(
  address: GuestAddress,
  options: { readonly holdMs: number },
  signal: AbortSignal,
): Promise<Quiesced> {
  const operation = {
    request: quiesceRequest(options.holdMs),
    what: "cannot make the guest ready for a dump",
  };
  const call = await openCall(address, operation, signal);
  try {
    const quiesced = await call.expect(guestFrame.ok, readQuiesced, address.replyMs);
    // Frozen between its answer and its close, the guest would have this very connection in the image.
    const more = await call.next(address.replyMs);
    if (more !== undefined) throw misbehaved(`a frame 0x${more.type.toString(16)} after its last`);
    return quiesced;
  } finally {
    call.close();
  }
}

export async function release(address: GuestAddress, signal: AbortSignal): Promise<void> {
  return callOnce(address, { request: releaseRequest(), what: "cannot release the guest" }, nothing, signal);
}

/** Gives a clone what is its own, and lifts all holds. Returns what could not be written, on a read-only root say. */
export async function setIdentity(
  address: GuestAddress,
  identity: IdentityRequest,
  signal: AbortSignal,
): Promise<readonly IdentityPart[]> {
  const operation = { request: identityRequest(identity), what: "cannot set the sandbox's identity" };
  return callOnce(address, operation, readIdentitySet, signal);
}

/** Ends everything in the sandbox: SIGTERM now, SIGKILL after `graceMs` (at most 60,000). Returns at once. */
export async function shutDown(
  address: GuestAddress,
  options: { readonly graceMs: number },
  signal: AbortSignal,
): Promise<void> {
  const operation = { request: shutdownRequest(options.graceMs), what: "cannot shut the sandbox down" };
  return callOnce(address, operation, nothing, signal);
}
