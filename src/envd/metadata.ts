/** What a client attaches to files that it uploads: the headers `X-Metadata-<key>`. Pure. */
import type { IncomingHttpHeaders } from "node:http";
import { invalid } from "./failure.js";

const headerPrefix = "x-metadata-";
/** A name of an extended attribute has 255 bytes at most, "user.e2b." included. */
const keyMax = 246;
const bytesMax = 4096;

/** Throws `invalid_argument`. Keys are in lower case, as headers are. */
export function metadataOf(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  let bytes = 0;
  for (const [name, given] of Object.entries(headers)) {
    if (!name.startsWith(headerPrefix)) continue;
    const key = name.slice(headerPrefix.length);
    const value = [given ?? ""].flat().join(", ");
    if (key === "" || key.length > keyMax)
      throw invalid(`a key of metadata has 1 to ${keyMax} characters, not ${key.length}`);
    if (!/^[\x20-\x7e]*$/.test(value))
      throw invalid(`the metadata ${JSON.stringify(key)} has more in it than printable ASCII`);
    bytes += key.length + value.length;
    found[key] = value;
  }
  if (bytes > bytesMax) throw invalid(`the metadata has ${bytes} bytes, at most ${bytesMax} are kept`);
  return found;
}
