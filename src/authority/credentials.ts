/** TLS between registry and nodes: each shows a certificate of the authority, and looks at whom the other's names. */
import { type ConnectionOptions, createSecureContext, type SecureContext, type TlsOptions } from "node:tls";
import { type ChannelCredentials, credentials, experimental, type ServerCredentials } from "@grpc/grpc-js";
import { identityOf } from "./identity.js";

/** PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly certificate: string;
  /** Certificate of the authority that both ends trust, and nobody else's. */
  readonly authority: string;
}

type Own = TlsIdentity | Pick<TlsIdentity, "authority">;

/** One for all channels of an identity: to make one takes longer than a handshake with it. */
const contexts = new WeakMap<Own, SecureContext>();

function contextOf(own: Own): SecureContext {
  const known = contexts.get(own);
  if (known !== undefined) return known;
  const pair = "key" in own ? { key: own.key, cert: own.certificate } : {};
  const made = createSecureContext({ ca: own.authority, ...pair });
  contexts.set(own, made);
  return made;
}

/** What clients ask for: one end has one certificate, whatever it is called. */
export const tlsServerName = "ramet";

/**
 * For calls to the one that `peerUri` names. Whoever answers is known by that name, wherever it was reached: addresses
 * change. Without an identity of one's own, the other end does not know who calls.
 */
export function channelCredentials(own: Own, peerUri: string): ChannelCredentials {
  return credentials.createFromSecureContext(contextOf(own), { checkServerIdentity: isPeer(peerUri) });
}

const isPeer =
  (peerUri: string): NonNullable<ConnectionOptions["checkServerIdentity"]> =>
  (host, { raw }) => {
    const uri = identityOf(raw)?.uri;
    return uri === peerUri ? undefined : new Error(`${host} is ${uri ?? "a stranger"}, not ${peerUri}`);
  };

/** For connections of HTTP/1.1 to the one that `peerUri` names. */
export function connectionOptions(own: TlsIdentity, peerUri: string): ConnectionOptions {
  return {
    secureContext: contextOf(own),
    servername: tlsServerName,
    ALPNProtocols: ["http/1.1"],
    checkServerIdentity: isPeer(peerUri),
  };
}

/** For a server whose clients may show a certificate of the authority; whether they must, is looked at later. */
export function tlsOptions({ key, certificate, authority }: TlsIdentity): TlsOptions {
  return { key, cert: certificate + authority, ca: authority, requestCert: true, rejectUnauthorized: false };
}

/**
 * A client's certificate must be the authority's where there is one; whether there must be one, and whose, is looked at
 * for each call.
 */
export function serverCredentials({ key, certificate, authority }: TlsIdentity): ServerCredentials {
  const ca = { caCertificate: Buffer.from(authority) };
  const identity = { certificate: Buffer.from(certificate + authority), privateKey: Buffer.from(key) };
  const provider: Parameters<typeof experimental.createCertificateProviderServerCredentials>[0] = {
    // Not at once: the server hears only what comes after it has begun to listen.
    addCaCertificateListener: (listener) => queueMicrotask(() => listener(ca)),
    removeCaCertificateListener: () => {},
    addIdentityCertificateListener: (listener) => queueMicrotask(() => listener(identity)),
    removeIdentityCertificateListener: () => {},
  };
  return experimental.createCertificateProviderServerCredentials(provider, provider, false);
}
