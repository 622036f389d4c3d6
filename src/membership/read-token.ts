/** The token of a join, from where other people of the machine cannot see it. */
import { readFileSync, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { MembershipConfig } from "../config/schema.js";
import { DomainError } from "../lib/errors.js";

const bytesMax = 4096;

export async function readToken(
  { token, tokenFile }: Pick<MembershipConfig, "token" | "tokenFile">,
  stdin: Readable,
): Promise<string> {
  if (token !== undefined) return token;
  if (tokenFile === undefined)
    throw new DomainError(
      "invalid_argument",
      "this machine is not yet a node of the registry, and has no token to join with",
      {
        hint: "make one with `ramet node token` on the registry; give it with --token-file or RAMET_JOIN_TOKEN",
      },
    );
  if (tokenFile === "-") return await text(stdin);
  try {
    if (statSync(tokenFile).size > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
    return readFileSync(tokenFile, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("invalid_argument", `cannot read the token from ${tokenFile}: ${why}`, { cause });
  }
}
