/** Who may ask: by the sandbox's token, or by a signed address that only who has the token can have made. */
import { createHash } from "node:crypto";
import { DomainError } from "../lib/errors.js";
import { isSameText } from "../lib/same-text.js";

const unauthenticated = (message: string) => new DomainError("unauthenticated", message);

/** Throws `unauthenticated` unless `given` is the token. */
export function checkToken(token: string, given: string | undefined): void {
  if (given === undefined || !isSameText(given, token))
    throw unauthenticated(
      "unauthorized access, please provide a valid access token or method signing if supported",
    );
}

export interface Signed {
  readonly operation: "read" | "write";
  readonly query: URLSearchParams;
  /** Of the header. */
  readonly token: string | undefined;
}

/** For a route that takes the token or a signature. */
export function checkAccess(token: string, { operation, query, token: given }: Signed, now: Date): void {
  if (given !== undefined && given !== "") {
    if (isSameText(given, token)) return;
    throw unauthenticated("access token present in header but does not match");
  }
  const signature = query.get("signature") ?? "";
  if (signature === "") throw unauthenticated("missing signature query parameter");
  const expiration = query.get("signature_expiration") ?? undefined;
  const signed = { operation, path: query.get("path") ?? "", username: query.get("username") ?? "" };
  if (
    !isSameText(
      signature,
      signatureOf(token, { ...signed, ...(expiration === undefined ? {} : { expiration }) }),
    )
  )
    throw unauthenticated("invalid signature");
  // What is no number has signed itself away.
  if (expiration !== undefined && !(Number(expiration) >= Math.floor(now.getTime() / 1000)))
    throw unauthenticated("signature is already expired");
}

export interface SignedWords {
  readonly operation: "read" | "write";
  /** As the query has them, and empty where it does not. */
  readonly path: string;
  readonly username: string;
  /** Seconds since 1970. */
  readonly expiration?: string;
}

/** What E2B's clients put into the query as `signature`. */
export function signatureOf(token: string, { operation, path, username, expiration }: SignedWords): string {
  const words = [path, operation, username, token, ...(expiration === undefined ? [] : [expiration])];
  const digest = createHash("sha256").update(words.join(":")).digest("base64");
  return `v1_${digest.replace(/=+$/, "")}`;
}
