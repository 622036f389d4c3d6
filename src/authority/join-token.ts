/**
 * `rmt_<digest>_<secret>`: lets one node join, and lets it recognise the registry before it shows the secret. The digest
 * is the first half of the SHA-256 of the authority's certificate (DER), in hexadecimal.
 */
import { createHash, randomBytes } from "node:crypto";
import { DomainError } from "../lib/errors.js";

const secretBytes = 20;
const pattern = /^rmt_([0-9a-f]{32})_([0-9a-f]{40})$/;

export interface JoinSecret {
  readonly authorityDigest: string;
  readonly secret: string;
}

export function newJoinToken(authorityDigest: string): JoinSecret & { readonly token: string } {
  const secret = randomBytes(secretBytes).toString("hex");
  return { authorityDigest, secret, token: `rmt_${authorityDigest}_${secret}` };
}

/** Throws `invalid_argument` that does not repeat what it was given. */
export function parseJoinToken(text: string): JoinSecret {
  const [, authorityDigest, secret] = pattern.exec(text.trim()) ?? [];
  if (authorityDigest === undefined || secret === undefined)
    throw new DomainError("invalid_argument", "that is not a join token", {
      hint: "`ramet node token` on the registry prints one: rmt_, 32 digits, _, 40 digits",
    });
  return { authorityDigest, secret };
}

/** What is kept of a secret. */
export function secretHash(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

export function authorityDigest(certificateDer: Uint8Array): string {
  return createHash("sha256").update(certificateDer).digest("hex").slice(0, 32);
}
