/** What a client calls a template or a snapshot: `[namespace/]name[:tag]`, where `name` may be an id. */
import { DomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";

export interface SourceName {
  readonly namespace?: string;
  readonly name: string;
  /** Absent for the default one. */
  readonly tag?: string;
}

const pattern = /^(?:([a-z0-9][a-z0-9._-]{0,62})\/)?([a-z0-9][a-z0-9._-]{0,62})(?::([a-z0-9_.-]{1,63}))?$/;
export const defaultTag = "default";

/** Upper case counts as lower case. Throws `invalid_argument`. */
export function parseSourceName(text: string): SourceName {
  const [, namespace, name, tag] = pattern.exec(text.toLowerCase()) ?? [];
  if (name === undefined)
    throw new DomainError("invalid_argument", `${quote(text)} cannot be the name of a template or snapshot`, {
      hint: "it has the form [namespace/]name[:tag], of a-z, 0-9, '.', '_' and '-'",
    });
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(tag === undefined || tag === defaultTag ? {} : { tag }),
  };
}
