/**
 * `metadata` in a query: pairs `key=value`, joined by `&`. Clients encode each key and value, put them into a form, and
 * that into the query. The server has decoded once; twice remains.
 */
import { refused } from "./parse.js";

/** Throws `invalid_argument`. */
export function parseMetadataQuery(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  const pairs = decodeOnce(text)
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair): [string, string] => {
      const at = pair.indexOf("=");
      const [key, value] = at === -1 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
      return [decodeOnce(key), decodeOnce(value)];
    });
  return Object.fromEntries(pairs);
}

function decodeOnce(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused("metadata: is not percent-encoded as it has to be");
  }
}
