/** Identifiers and human names: made here, checked here, trusted afterwards. */
import { DomainError } from "./errors.js";
import { someBytes } from "./random-bytes.js";

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
const idLength = 20;
const idPattern = /^[a-z0-9]{20}$/;
const idPrefixPattern = /^[a-z0-9]{4,20}$/;
const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;

// Bytes at or above the largest multiple of 36 would make the first letters likelier.
const unbiasedMax = 256 - (256 % alphabet.length);

/** A new identifier of 20 characters, each of a-z0-9 with equal chance (103 bits); fit for a host name. */
export function randomId(): string {
  let id = "";
  while (id.length < idLength) {
    for (const byte of someBytes(2 * idLength)) {
      if (byte < unbiasedMax && id.length < idLength) id += alphabet.charAt(byte % alphabet.length);
    }
  }
  return id;
}

export function isId(text: string): boolean {
  return idPattern.test(text);
}

/** Four characters or more that an identifier may begin with; a whole identifier is one too. */
export function isIdPrefix(text: string): boolean {
  return idPrefixPattern.test(text);
}

/** `what` is the noun for the message. Throws `invalid_argument`. */
export function parseId(what: string, text: string): string {
  if (!isId(text)) throw new DomainError("invalid_argument", `${quote(text)} is not a ${what} id`);
  return text;
}

export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** A name that people give: `^[a-z0-9][a-z0-9._-]{0,62}$`. Throws `invalid_argument`. */
export function parseName(what: string, text: string): string {
  if (isName(text)) return text;
  throw new DomainError("invalid_argument", `${quote(text)} cannot be the name of a ${what}`, {
    hint: "a name has 1 to 63 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
  });
}

/** Quotes text from outside for a message: control characters escaped, at most 64 characters shown. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
