/** A join: the token is good once, and its node gets a certificate. */
import type { Authority } from "../authority/authority.js";
import { secretHash } from "../authority/join-token.js";
import type { NodeId, NodeRecord } from "../fleet/node.js";
import { parseAddress } from "../lib/address.js";
import type { Clock } from "../lib/clock.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { parseName } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import type { JoinToken, RegistryStore } from "../registry-store/registry-store.js";
import type { OpenNodes } from "./open-nodes.js";

export interface JoinDeps {
  readonly store: {
    readonly tokens: Pick<RegistryStore["tokens"], "findByHash" | "useFor">;
    readonly nodes: Pick<RegistryStore["nodes"], "get">;
  };
  readonly authority: Pick<Authority, "identify" | "signNode">;
  readonly nodes: Pick<OpenNodes, "add">;
  readonly now: Clock;
  readonly log: Logger;
}

export interface JoinRequest {
  readonly secret: string;
  readonly certificateRequest: Uint8Array;
  readonly name: string;
  readonly address: string;
}

export interface Joined {
  readonly node: NodeId;
  /** PEM. */
  readonly certificate: string;
}

export async function joinNode(deps: JoinDeps, request: JoinRequest): Promise<Joined> {
  const { store, authority, now, log } = deps;
  // Before anything else of the request is looked at: whoever has no token learns nothing.
  const token = await findToken(deps, request.secret);
  const name = parseName("node", request.name);
  const { host } = parseAddress("address of a node", request.address);
  const node = (await authority.identify(request.certificateRequest)).node as NodeId;
  if (token.usedBy !== undefined) return await answerAgain(deps, { token, node, host, request });
  const { certificate, serial } = await authority.signNode(request.certificateRequest, { host });
  const at = now();
  const record: NodeRecord = {
    ...{ id: node, name, address: request.address, certificate: serial },
    ...{ joinedAt: at, isCordoned: false, seenAt: at },
  };
  try {
    await store.tokens.useFor(token.id, record);
  } catch (thrown) {
    // Two came with it at once.
    if (isDomainError(thrown, "failed_precondition")) throw refused("was used meanwhile");
    if (isDomainError(thrown, "already_exists")) throw hasJoined(name, thrown);
    throw thrown;
  }
  deps.nodes.add(record);
  log.info({ node, name, address: request.address }, "a node has joined");
  return { node, certificate };
}

async function findToken({ store, now }: JoinDeps, secret: string): Promise<JoinToken> {
  const token = await store.tokens.findByHash(secretHash(secret));
  if (token === undefined) throw refused("is not one of this registry's");
  if (token.expiresAt.getTime() <= now().getTime()) throw refused("has expired");
  return token;
}

interface Again {
  readonly token: JoinToken;
  readonly node: NodeId;
  readonly host: string;
  readonly request: JoinRequest;
}

/** The answer may have been lost: the same key gets a certificate with the serial number that is on record. */
async function answerAgain(
  { store, authority }: JoinDeps,
  { token, node, host, request }: Again,
): Promise<Joined> {
  if (token.usedBy !== node) throw refused("was used already");
  const record = await store.nodes.get(node).catch((thrown: unknown) => {
    if (isDomainError(thrown, "not_found"))
      throw refused("was used already, by a node that is removed since");
    throw thrown;
  });
  const options = { host, serial: record.certificate };
  const { certificate } = await authority.signNode(request.certificateRequest, options);
  return { node, certificate };
}

/** A machine that was installed anew comes with its old name. */
function hasJoined(name: string, cause: DomainError): DomainError {
  return new DomainError("already_exists", `a node called ${name} has joined already`, {
    cause,
    hint: `give this one another name (--name), or remove the old one first, with \`ramet node rm ${name}\``,
  });
}

function refused(why: string): DomainError {
  return new DomainError("unauthenticated", `the join token ${why}`, {
    hint: "make another with `ramet node token`: each lets one node join, for a while",
  });
}
