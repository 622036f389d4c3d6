/** Becoming a node: the key is made here, the registry is recognised by the token's digest, and signs. */
import { X509Certificate } from "node:crypto";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { channelCredentials, tlsServerName } from "../authority/credentials.js";
import { registryUri } from "../authority/identity.js";
import { authorityDigest, parseJoinToken } from "../authority/join-token.js";
import { checkProtocol, protocol } from "../authority/protocol.js";
import { MembershipService } from "../gen/ramet/v1/membership_pb.js";
import { type Address, formatAddress } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import { createClient, openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "../lib/grpc-errors.js";
import { type NodeIdentity, readIdentity, readOrMakeKey, writeIdentity } from "./identity-files.js";

export interface JoinOptions {
  readonly registry: Address;
  readonly token: string;
  readonly name: string;
  /** `host:port` at which the registry reaches this agent. */
  readonly address: string;
  /** Of the membership. */
  readonly directory: string;
}

const timeoutMs = 15_000;

/** Throws what the registry says; `unauthenticated` when whoever answers is not the token's registry. */
export async function joinRegistry(options: JoinOptions, signal: AbortSignal): Promise<NodeIdentity> {
  const { registry, name, address, directory } = options;
  const { authorityDigest: digest, secret } = parseJoinToken(options.token);
  const authority = await fetchAuthority(registry, digest, signal);
  const key = await readOrMakeKey(directory);
  const certificateRequest = await (await import("../authority/certificates.js")).makeRequest(key);
  const channel = openChannel(formatAddress(registry), channelCredentials({ authority }, registryUri), {
    serverName: tlsServerName,
  });
  const callee = `the registry at ${formatAddress(registry)}`;
  try {
    const membership = createClient(MembershipService, channel, {
      timeoutMs,
      toError: (error) => errorFromStatus(error, { callee, timeoutMs }),
    });
    const answer = await membership.join({ protocol, secret, certificateRequest, name, address }, { signal });
    checkProtocol("the registry", answer.protocol);
    await writeIdentity(directory, { certificate: answer.certificate, authority });
  } finally {
    channel.close();
  }
  const identity = await readIdentity(directory);
  if (identity === undefined) throw new DomainError("internal", `${directory} is gone`);
  return identity;
}

/** The certificate of the authority that the token names, from whoever listens there: nothing is said to them yet. */
function fetchAuthority({ host, port }: Address, digest: string, signal: AbortSignal): Promise<string> {
  const at = formatAddress({ host, port });
  return new Promise((resolve, reject) => {
    // The digest is what is checked here; the channel to come checks the rest.
    const socket = connect({ host, port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
    const end = (settle: () => void) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      settle();
    };
    const abort = () => end(() => reject(signal.reason));
    const fail = (code: "unavailable" | "unauthenticated", message: string, hint: string, cause?: unknown) =>
      end(() => reject(new DomainError(code, message, { hint, cause })));
    signal.addEventListener("abort", abort, { once: true });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("no answer")));
    socket.once("secureConnect", () => {
      const found = chainOf(socket.getPeerCertificate(true)).find(
        ({ raw }) => authorityDigest(raw) === digest,
      );
      if (found === undefined)
        fail(
          "unauthenticated",
          `whoever listens at ${at} is not the registry that made the token`,
          "see that the address is right; after the registry's authority was made anew, its old tokens are void",
        );
      else end(() => resolve(new X509Certificate(found.raw).toString()));
    });
    socket.once("error", (cause) =>
      fail(
        "unavailable",
        `cannot reach the registry at ${at}: ${cause.message}`,
        "see that it runs, and that nodes.listen of its configuration is an address that this machine reaches",
        cause,
      ),
    );
  });
}

function chainOf(certificate: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  // A self-signed one is its own issuer.
  for (let at = certificate; at?.raw !== undefined && !chain.includes(at); at = at.issuerCertificate)
    chain.push(at);
  return chain;
}
