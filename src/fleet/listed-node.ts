/** A node in the indexes of placement, and what it can take now. */
import type { FleetNode } from "./fleet.js";
import type { Positions } from "./holders.js";
import type { HeldTemplate } from "./node.js";
import { hasRoom, newTally, startBytes, sum, type Tally } from "./room.js";

export type SourceIndex = "templates" | "checkpoints" | "images";
export type IndexName = SourceIndex | "slots";

export interface HeldSlots {
  template: HeldTemplate;
  readonly taken: Tally;
  /** A claim was refused: it has none until the next report. */
  isRefused: boolean;
}

export interface ListedNode {
  node: FleetNode;
  readonly templates: Map<string, HeldSlots>;
  readonly bytes: Tally;
  readonly cpus: Tally;
  /** Something was refused for want of room: nothing but slots until the next report. */
  isRefused: boolean;
  /** Only nodes that are ready are in the indexes. */
  isListed: boolean;
  /** In the indexes of checkpoints and images; undefined: in some of their arrays it is, in some it is not. */
  isOpen: boolean | undefined;
  readonly at: { readonly [I in IndexName]: Positions };
}

export const newListedNode = (node: FleetNode): ListedNode => ({
  node,
  templates: new Map(),
  bytes: newTally(),
  cpus: newTally(),
  isRefused: false,
  isListed: false,
  isOpen: false,
  at: { slots: new Map(), templates: new Map(), checkpoints: new Map(), images: new Map() },
});

const mayTakeWork = ({ node }: ListedNode) => node.health === "ready" && !node.isCordoned;

export function hasSlot(listed: ListedNode, template: string): boolean {
  const held = listed.templates.get(template);
  if (held === undefined || held.isRefused || !mayTakeWork(listed)) return false;
  return held.template.slotsReady > sum(held.taken);
}

/** What one more sandbox takes there. Measured for templates, guessed for others. */
export const neededBytes = ({ templates }: ListedNode, index: SourceIndex, key: string): number =>
  (index === "templates" ? templates.get(key)?.template.cloneBytes : undefined) ?? startBytes;

export const fits = (listed: ListedNode, bytes: number): boolean =>
  mayTakeWork(listed) && !listed.isRefused && hasRoom(listed.node.report, listed.bytes, bytes);

/** A report tells what has been made until now. What is in flight may or may not be in it, and stays counted. */
export function startReport(listed: ListedNode): void {
  listed.bytes.made = 0;
  listed.cpus.made = 0;
  listed.isRefused = false;
  for (const held of listed.templates.values()) {
    held.taken.made = 0;
    held.isRefused = false;
  }
}
