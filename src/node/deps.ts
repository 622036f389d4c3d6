/** What the verbs of this folder use. `start.ts` builds it; each verb takes the part it needs. */
import type { HostFacts } from "../checkpoint/compat.js";
import type { Verifier } from "../checkpoint/verify.js";
import type { Containerd } from "../containerd/client.js";
import type { Clock } from "../lib/clock.js";
import type { Copier } from "../lib/copier.js";
import type { KeyedQueue } from "../lib/keyed-queue.js";
import type { Limiter } from "../lib/limit.js";
import type { Logger } from "../lib/log.js";
import { shimLabel } from "../sandbox/observed.js";
import type { Store } from "../store/open-store.js";
import type { CgroupMounts } from "./cgroup.js";
import type { Failpoint } from "./failpoint.js";
import type { Freezer } from "./freezer.js";
import type { Guests } from "./guests.js";
import type { Memoryd } from "./memoryd.js";
import type { Paths } from "./paths.js";
import type { Shims } from "./shims.js";
import type { IdRange } from "./unshift.js";

export interface Deps {
  readonly store: Store;
  readonly containerd: Containerd;
  readonly guests: Guests;
  readonly freezer: Freezer;
  readonly copier: Copier;
  readonly shims: Shims;
  readonly memoryd: Memoryd;
  readonly paths: Paths;
  /** One line for each sandbox, by id; a template's build and an image's removal have lines too. */
  readonly queue: KeyedQueue;
  /**
   * Bounds the containers that are being made at once, over all sandboxes: what waits for a restore has a deadline
   * in containerd already, and more at once are not faster.
   */
  readonly launches: Limiter;
  /** Of these, the restores that run at once. */
  readonly restores: Limiter;
  /** Bounds the tasks that are ended at once, over all sandboxes: runc runs for each. */
  readonly endings: Limiter;
  /** Clones of one fork that are started at once. */
  readonly forkParallelism: number;
  readonly verifier: Verifier;
  readonly failpoint: Failpoint;
  readonly record: RecordEvent;
  readonly now: Clock;
  readonly log: Logger;
  readonly settings: Settings;
  /** Where the control groups are, read once: with many sandboxes, the table of mounts is long. */
  readonly cgroups: CgroupMounts;
}

/** Host ids of the sandboxes' user namespace, and what checkpoints have to fit. */
export interface Settings {
  readonly ids: IdRange;
  readonly runc: string;
  /** runc's state of our containers, apart from what others on the machine have in its default place. */
  readonly runcRoot: string;
  readonly guestVersion: string;
  readonly host: HostFacts;
}

export type RecordEvent = (
  type: string,
  about: { readonly sandbox?: string; readonly attributes?: Readonly<Record<string, string>> },
) => void;

/** Labels on everything in containerd that belongs to the agent; nothing without them is ever touched. */
export const labels = {
  sandbox: "ramet.sandbox",
  checkpoint: "ramet.checkpoint",
  shim: shimLabel,
} as const;
