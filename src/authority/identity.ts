/** Who a certificate of the authority names: the registry, or one node. */
import { createHash, X509Certificate } from "node:crypto";

export const registryUri = "ramet:registry";
export const nodeUri = (id: string): string => `ramet:node:${id}`;

export interface Identity {
  /** The one `ramet:` URI among its subject's alternative names. */
  readonly uri: string;
  /** Lower-case hexadecimal. */
  readonly serial: string;
}

/**
 * Of a certificate whose chain was verified already. Undefined for one that names nobody or more than one: such are not
 * the authority's.
 */
export function identityOf(certificate: Buffer | string): Identity | undefined {
  const { subjectAltName = "", serialNumber } = new X509Certificate(certificate);
  // Node quotes a name with a comma in it; ours have none.
  const uris = subjectAltName.split(", ").filter((name) => name.startsWith("URI:ramet:"));
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return undefined;
  return { uri: uri.slice("URI:".length), serial: serialNumber.toLowerCase() };
}

/** Id of the node that a `ramet:node:` URI names. */
export function nodeOf({ uri }: Identity): string | undefined {
  return /^ramet:node:([a-z0-9]{20})$/.exec(uri)?.[1];
}

/** A node's id follows from its key: who asks again with the same key is the same node. */
export function nodeIdOf(publicKeyDer: Uint8Array): string {
  return createHash("sha256").update(publicKeyDer).digest("hex").slice(0, 20);
}
