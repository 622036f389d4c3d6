/** Tokens that let one node join, once. */
import { newJoinToken, secretHash } from "../authority/join-token.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import type { JoinTokens } from "../registry-store/registry-store.js";

export const tokenTtlMs = { usual: 3_600_000, least: 60_000, most: 7 * 86_400_000 } as const;

export interface MadeToken {
  readonly id: string;
  /** Shown once: only a hash of its secret is kept. */
  readonly token: string;
  readonly expiresAt: Date;
}

export interface TokenDeps {
  readonly store: { readonly tokens: JoinTokens };
  readonly authority: { readonly digest: string };
  readonly now: Clock;
}

export async function makeJoinToken({ store, authority, now }: TokenDeps, ttlMs: number): Promise<MadeToken> {
  if (!(ttlMs >= tokenTtlMs.least && ttlMs <= tokenTtlMs.most))
    throw new DomainError("invalid_argument", "a join token is good for one minute to seven days");
  const createdAt = now();
  await store.tokens.removeExpired(new Date(createdAt.getTime() - tokenTtlMs.most));
  const { secret, token } = newJoinToken(authority.digest);
  const expiresAt = new Date(createdAt.getTime() + ttlMs);
  const id = randomId();
  await store.tokens.insert({ id, hash: secretHash(secret), createdAt, expiresAt });
  return { id, token, expiresAt };
}
