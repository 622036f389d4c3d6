/** Extended attributes of files, by prefix; and the users whom files belong to. */
import { guestErrorOf } from "../guest-client/errors.js";
import type { FilePath } from "../guest-client/file-requests.js";
import { changeablePlaceOf, type FileDeps, placeOf } from "./file-place.js";
import type { Files } from "./files.js";
import type { Guest } from "./guests.js";
import { findLive } from "./running.js";

/** Of one file that are read; the kernel holds a few kilobytes of them. */
const attributesMax = 256;

export function attributeOperations(deps: FileDeps): Pick<Files, "attributes" | "setAttributes" | "user"> {
  const { guests } = deps;
  return {
    async attributes(ref, prefix, signal) {
      const { id, file } = placeOf(deps, ref, "read attributes of a file in");
      return guests.call(id, (guest, linked) => read(guest, { file, prefix }, linked), signal);
    },
    async setAttributes(ref, prefix, values, signal) {
      const { id, file } = changeablePlaceOf(deps, ref, "set attributes of a file in");
      await guests.call(id, (guest, linked) => write(guest, { file, prefix }, values, linked), signal);
    },
    async user(sandbox, name, signal) {
      const { id, spec } = findLive(deps, sandbox, "look up a user of");
      const found = await guests.call(
        id,
        (guest, linked) => guest.lookUpUser(name ?? spec.user, linked),
        signal,
      );
      return { uid: found.uid, gid: found.gid, name: found.name, home: found.home };
    },
  };
}

interface Attributes {
  readonly file: FilePath;
  readonly prefix: string;
}

async function names(guest: Guest, { file, prefix }: Attributes, signal: AbortSignal): Promise<string[]> {
  try {
    const all = await guest.files.listXattrs(file, {}, signal);
    return all.filter((name) => name.startsWith(prefix)).slice(0, attributesMax);
  } catch (thrown) {
    if (guestErrorOf(thrown)?.code === "unsupported") return [];
    throw thrown;
  }
}

async function read(guest: Guest, attributes: Attributes, signal: AbortSignal) {
  const { file, prefix } = attributes;
  const values: Record<string, string> = {};
  for (const name of await names(guest, attributes, signal)) {
    try {
      values[name.slice(prefix.length)] = String(await guest.files.getXattr({ ...file, name }, {}, signal));
    } catch (thrown) {
      // Removed since.
      if (guestErrorOf(thrown)?.code !== "no_data") throw thrown;
    }
  }
  return values;
}

async function write(
  guest: Guest,
  attributes: Attributes,
  values: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const { file, prefix } = attributes;
  for (const name of await names(guest, attributes, signal))
    if (values[name.slice(prefix.length)] === undefined)
      await guest.files.removeXattr({ ...file, name }, {}, signal);
  for (const [name, text] of Object.entries(values))
    await guest.files.setXattr({ ...file, name: prefix + name, value: Buffer.from(text) }, {}, signal);
}
