/** The regular files of a dump: `files.img` (images/fdinfo.proto, images/regfile.proto, images/fown.proto). Pure. */
import { damaged } from "../damaged.js";
import {
  bytesField,
  bytesOf,
  numberField,
  parseMessage,
  requiredNumber,
  serializeMessage,
  textField,
  textOf,
} from "./message.js";

export interface FileTable {
  /** Paths of regular files, by id. */
  readonly paths: ReadonlyMap<number, string>;
  /** Above those of all files, of whatever type. */
  readonly freeId: number;
}

export interface MemoryFile {
  readonly id: number;
  /** As processes inside see it. */
  readonly path: string;
  readonly bytes: number;
  /** Of the mount that it is on; none where the dump has no mount namespace. */
  readonly mountId: number | undefined;
}

const regularType = 1;
/** A regular file that its owner and its group read and nobody writes. CRIU compares it with what it opens, as it does the size. */
export const memoryFileMode = 0o440;
const regularFile = 0o100000;
/** CRIU uses the top bit of an id for itself. */
const idMax = 2 ** 31 - 1;

const field = { type: 1, id: 2, reg: 3 };
const reg = { id: 1, flags: 2, pos: 3, fown: 5, name: 6, mountId: 7, size: 8, mode: 10 };

export function readFileTable(messages: readonly Buffer[], name: string): FileTable {
  const paths = new Map<number, string>();
  let highest = 0;
  for (const bytes of messages) {
    const message = parseMessage(bytes, name);
    const id = requiredNumber(message, field.id, name);
    highest = Math.max(highest, id);
    const file = bytesOf(message, field.reg, name);
    if (requiredNumber(message, field.type, name) !== regularType || file === undefined) continue;
    const path = textOf(parseMessage(file, name), reg.name, name);
    if (path === undefined) throw damaged(name, `file ${id} has no name`);
    paths.set(id, path);
  }
  if (highest >= idMax) throw damaged(name, `a file's id is ${highest}`);
  return { paths, freeId: highest + 1 };
}

export function regularFileEntry(file: MemoryFile): Buffer {
  const nobody = [1, 2, 3, 4, 5].map((number) => numberField(number, 0));
  const entry = [
    numberField(reg.id, file.id),
    numberField(reg.flags, 0),
    numberField(reg.pos, 0),
    bytesField(reg.fown, serializeMessage(nobody)),
    textField(reg.name, file.path),
    // sint32: a number that is not negative is written doubled.
    ...(file.mountId === undefined ? [] : [numberField(reg.mountId, 2 * file.mountId)]),
    numberField(reg.size, file.bytes),
    numberField(reg.mode, regularFile + memoryFileMode),
  ];
  return serializeMessage([
    numberField(field.type, regularType),
    numberField(field.id, file.id),
    bytesField(field.reg, serializeMessage(entry)),
  ]);
}

/**
 * The id of the mount at a path (images/mnt.proto): of `mountpoints-N.img`, one for each mount namespace. None without
 * such an image: then the processes see the mounts of whoever restores them.
 */
export function findMount(
  images: readonly { readonly name: string; readonly messages: readonly Buffer[] }[],
  mountPath: string,
): number | undefined {
  if (images.length === 0) return undefined;
  const found = images.flatMap(({ name, messages }) =>
    messages
      .map((bytes) => parseMessage(bytes, name))
      .filter((message) => textOf(message, 7, name) === mountPath)
      .map((message) => requiredNumber(message, 2, name)),
  );
  const [id, ...others] = found;
  if (id === undefined || others.length > 0)
    throw damaged(images[0]?.name ?? "", `it has ${found.length} mounts at ${mountPath}`);
  return id;
}
