/** containerd as the node sees it: one object with an adapter for each of its nouns. */
import { Version as VersionService } from "../gen/containerd/services/version/v1/version_pb.js";
import type { Image } from "../image/image.js";
import { type Connection, type ConnectionOptions, openConnection } from "./connection.js";
import { type Containers, openContainers } from "./containers.js";
import { type Content, openContent } from "./content.js";
import { type Diffs, openDiffs } from "./diff.js";
import { attempt } from "./errors.js";
import { type Events, openEvents } from "./events.js";
import { type CommitRequest, commitImage } from "./image-commit.js";
import { hostPlatform, type Platform } from "./image-format.js";
import { type Images, openImages } from "./images.js";
import { type ImportRequest, importArchive } from "./import.js";
import { type Leases, openLeases, withLease } from "./leases.js";
import { type PullRequest, pullImage } from "./pull.js";
import { openSharedShims, type SharedShims } from "./shared-shims.js";
import { openSnapshots, type Snapshots } from "./snapshots.js";
import { openTasks, type Tasks } from "./tasks.js";

export interface Version {
  readonly version: string;
  readonly revision: string;
}

/** The nouns, as seen through a plain connection or through one under a lease. */
export interface Nouns {
  readonly content: Content;
  readonly images: Images;
  readonly snapshots: Snapshots;
  readonly containers: Containers;
  readonly tasks: Tasks;
  readonly sharedShims: SharedShims;
  readonly diffs: Diffs;
  readonly leases: Leases;
}

export interface Containerd extends Nouns {
  readonly namespace: string;
  readonly events: Events;
  version(signal?: AbortSignal): Promise<Version>;
  /** Imports an archive; gives its images, unpacked. */
  importArchive(request: ImportRequest, signal?: AbortSignal): Promise<Image[]>;
  pull(request: PullRequest, signal?: AbortSignal): Promise<Image>;
  /** Makes what a snapshot has over its base image a layer of a new image. */
  commit(request: CommitRequest, signal?: AbortSignal): Promise<Image>;
  /** Runs the work with nouns whose new resources are safe from the garbage collector until it ends. */
  withLease<T>(work: (nouns: Nouns) => Promise<T>, signal?: AbortSignal): Promise<T>;
  close(): void;
}

/** Connects and asks for the version: `unavailable` when nobody answers at the address. */
export async function connectContainerd(
  options: ConnectionOptions,
  signal?: AbortSignal,
): Promise<Containerd> {
  const connection = openConnection(options);
  const platform = hostPlatform(process.arch);
  const containerd: Containerd = {
    namespace: connection.namespace,
    ...nounsOver(connection, platform),
    events: openEvents(connection),
    version: (signal) => askVersion(connection, options.address, signal),
    importArchive: (request, signal) => importArchive(connection, { ...request, platform }, signal),
    pull: (request, signal) => pullImage(connection, { ...request, platform }, signal),
    commit: (request, signal) => commitImage(connection, { ...request, platform }, signal),
    withLease: (work, signal) => withLease(connection, (leased) => work(nounsOver(leased, platform)), signal),
    close: () => connection.close(),
  };
  try {
    await containerd.version(signal);
    return containerd;
  } catch (err) {
    connection.close();
    throw err;
  }
}

function nounsOver(connection: Connection, platform: Platform): Nouns {
  const containers = openContainers(connection);
  const tasks = openTasks(connection);
  return {
    content: openContent(connection),
    images: openImages(connection, { platform }),
    snapshots: openSnapshots(connection),
    containers,
    tasks,
    sharedShims: openSharedShims(connection, { containers, tasks }),
    diffs: openDiffs(connection),
    leases: openLeases(connection),
  };
}

function askVersion(connection: Connection, address: string, signal?: AbortSignal): Promise<Version> {
  return attempt(`reach containerd at ${address}`, async () => {
    const { version, revision } = await connection
      .service(VersionService)
      .version({}, { signal, timeoutMs: 10_000 });
    return { version, revision };
  });
}
