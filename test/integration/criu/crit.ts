/** What crit, CRIU's own decoder of images, shows of a dump. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { testRuntime } from "../../support/containerd.js";

/** Fields by their names in CRIU's images/*.proto. Numbers beyond 2^53 are rounded, as ours are; bytes are base64. */
export type Shown = Readonly<Record<string, unknown>>;

export interface ShownImage {
  /** Name of its kind. */
  readonly magic: string;
  readonly entries: readonly Shown[];
  /** Crit writes it as it was, byte for byte. */
  readonly same: boolean;
  /** Why crit cannot read or write it. */
  readonly problem?: string;
}

export interface ShownDump {
  readonly images: ReadonlyMap<string, ShownImage>;
  /** Checksums of the files that crit does not know. */
  readonly others: ReadonlyMap<string, string>;
}

const library = (): string => join(testRuntime().prefix, "crit");

/** Put there by scripts/install-crit. */
export const hasCrit = (): boolean => existsSync(library());

export async function show(dir: string): Promise<ShownDump> {
  const words = [join(import.meta.dirname, "crit.py"), dir];
  const env = { PYTHONPATH: library(), PYTHONDONTWRITEBYTECODE: "1" };
  // Debian's own: it is the one with protobuf.
  const { stdout } = await execa("/usr/bin/python3", words, { env });
  const images = new Map(Object.entries(JSON.parse(stdout) as Record<string, ShownImage>));
  const others = new Map<string, string>();
  for (const name of await readdir(dir)) {
    if (images.has(name) || name.endsWith(".log")) continue;
    others.set(
      name,
      createHash("sha256")
        .update(await readFile(join(dir, name)))
        .digest("hex"),
    );
  }
  return { images, others };
}

/** The entries of an image. */
export function entriesOf({ images }: ShownDump, name: string): readonly Shown[] {
  const image = images.get(name);
  if (image === undefined) throw new Error(`crit shows no ${name}`);
  return image.entries;
}

/** Numbers N of the images `<prefix>-N.img`. */
export function numbersIn({ images }: ShownDump, prefix: string): number[] {
  return [...images.keys()].flatMap((name) => {
    const number = new RegExp(`^${prefix}-(\\d+)\\.img$`).exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
}

/** A message in a message, and the messages of a repeated field. */
export const inner = (of: Shown | undefined, field: string): Shown | undefined =>
  of?.[field] as Shown | undefined;
export const all = (of: Shown | undefined, field: string): readonly Shown[] =>
  (of?.[field] ?? []) as readonly Shown[];
export const num = (of: Shown | undefined, field: string): number => Number(of?.[field] ?? 0);

/** Crit has a name for a thread's mode. */
export const seccompModeOf = (thread: Shown | undefined): number =>
  Math.max(0, ["disabled", "strict", "filter"].indexOf(String(thread?.["seccomp_mode"])));
