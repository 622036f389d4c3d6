/** How people name things: a whole id, a name, or the beginning of an id. */
import { DomainError } from "../lib/errors.js";
import { isId, isIdPrefix, quote } from "../lib/ids.js";

export interface Lookup<T> {
  byId(id: string): T | undefined;
  byName(name: string): T | undefined;
  /** At most two are needed to know that a prefix is ambiguous. */
  byPrefix(prefix: string): readonly T[];
}

/** Throws `not_found`, or `invalid_argument` when several ids begin with `ref`. */
export function findByRef<T>(what: string, hint: string, ref: string, lookup: Lookup<T>): T {
  const exact = (isId(ref) ? lookup.byId(ref) : undefined) ?? lookup.byName(ref);
  if (exact !== undefined) return exact;
  const [found, another] = isIdPrefix(ref) ? lookup.byPrefix(ref) : [];
  if (found === undefined) throw new DomainError("not_found", `no ${what} ${quote(ref)}`, { hint });
  if (another !== undefined) {
    throw new DomainError("invalid_argument", `several ${what} ids begin with ${quote(ref)}`, {
      hint: "give more of the id",
    });
  }
  return found;
}
