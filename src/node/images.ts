/** Images as people ask about them. */
import { openArchive } from "../containerd/import.js";
import type { ImageProgress as TransferProgress } from "../containerd/transfer.js";
import type { Image } from "../image/image.js";
import { DomainError } from "../lib/errors.js";
import { openMergedStream } from "../lib/merged-stream.js";
import type { Deps } from "./deps.js";
import type { ImageProgress, Images } from "./node.js";

type ImageDeps = Pick<Deps, "containerd" | "store" | "record">;

export function openImageVerbs(deps: ImageDeps): Images {
  const { containerd } = deps;
  return {
    import: (path, { name }, signal) =>
      withProgress(signal, async (onProgress, linked) => {
        const archive = await openArchive(path);
        const images = await containerd.importArchive(
          { archive, onProgress, ...(name === undefined ? {} : { name }) },
          linked,
        );
        return noted(deps, "image.imported", images);
      }),
    pull: (reference, { plainHttp, username, password }, signal) =>
      withProgress(signal, async (onProgress, linked) => {
        const credentials =
          username === undefined ? {} : { credentials: { username, secret: password ?? "" } };
        const image = await containerd.pull({ reference, plainHttp, onProgress, ...credentials }, linked);
        return noted(deps, "image.pulled", [image]);
      }),
    list: (signal) => containerd.images.list(signal),
    get: (name, signal) => containerd.images.get(name, signal),
    delete: (name, signal) => deleteImage(deps, name, signal),
  };
}

type OnProgress = (progress: TransferProgress) => void;

/** The last message carries the image; of several imported ones the first, the others are listed. */
async function* withProgress(
  signal: AbortSignal,
  work: (onProgress: OnProgress, signal: AbortSignal) => Promise<readonly Image[]>,
): AsyncGenerator<ImageProgress> {
  const stream = openMergedStream<ImageProgress>(signal);
  const onProgress: OnProgress = ({ phase, doneBytes, totalBytes }) =>
    stream.push({ step: phase, doneBytes, totalBytes });
  const done = work(onProgress, stream.signal).then((images) => {
    for (const image of images)
      stream.push({ step: "done", doneBytes: image.sizeBytes, totalBytes: image.sizeBytes, image });
  });
  try {
    yield* stream.until(done);
  } finally {
    stream.end();
    await done.catch(() => {});
  }
}

function noted({ record }: ImageDeps, type: string, images: readonly Image[]): readonly Image[] {
  for (const { name } of images) record(type, { attributes: { image: name } });
  return images;
}

/** Layers stay in containerd as long as a snapshot stands on them, but a restore or commit needs the image. */
async function deleteImage(
  { containerd, store, record }: ImageDeps,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const image = await containerd.images.get(name, signal);
  const users = [
    ...store.templates
      .list()
      .filter(({ spec }) => spec.image === image.name)
      .map(({ spec }) => `template ${spec.name}`),
    ...store.sandboxes
      .list()
      .filter(({ spec }) => spec.image === image.name)
      .map((sandbox) => `sandbox ${sandbox.name ?? sandbox.id}`),
    ...store.checkpoints
      .list({ kinds: ["user"] })
      .filter(({ spec }) => spec.image === image.name)
      .map((checkpoint) => `checkpoint ${checkpoint.name ?? checkpoint.id}`),
  ];
  if (users.length > 0) {
    throw new DomainError("failed_precondition", `cannot remove image ${name}: used by ${named(users)}`, {
      hint: "remove these first",
    });
  }
  await containerd.images.delete(image.name, signal);
  record("image.deleted", { attributes: { image: image.name } });
}

const namedMax = 5;

function named(users: readonly string[]): string {
  const rest = users.length - namedMax;
  return users.slice(0, namedMax).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
