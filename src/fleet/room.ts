/** What a node has room for: its last report, less what has been sent there since. */
import type { NodeReport } from "./node.js";

/** Counted from the choice on. Once made it counts until the node's next report. */
export interface Tally {
  inFlight: number;
  made: number;
}

export const newTally = (): Tally => ({ inFlight: 0, made: 0 });
export const sum = ({ inFlight, made }: Tally): number => inFlight + made;

export function settleTally(tally: Tally, amount: number, isMade: boolean): void {
  tally.inFlight -= amount;
  if (isMade) tally.made += amount;
}

/** Left free on every node, of memory and of disk: what runs there grows. */
const reserveShare = 1 / 20;

/** What a sandbox takes at its start where nobody has measured it. Limits are ceilings and reserve nothing. */
export const startBytes = 64 * 1024 * 1024;

/** What may be given out of a node's memory. */
export const roomBytes = (node: Pick<NodeReport, "memoryBytes" | "memoryFreeBytes">): number =>
  Math.max(0, node.memoryFreeBytes - node.memoryBytes * reserveShare);

export function hasRoom(report: NodeReport, bytes: Tally, neededBytes: number): boolean {
  const hasDisk = report.diskFreeBytes >= report.diskBytes * reserveShare;
  return hasDisk && sum(bytes) + neededBytes <= roomBytes(report);
}

/** How many sandboxes of a size would fit if each used all that it may; negative on an overloaded node. */
export function headroom(
  report: NodeReport,
  taken: { readonly bytes: Tally; readonly cpus: Tally },
  each: { readonly cpus: number; readonly memoryBytes: number },
): number {
  const memory = (report.memoryFreeBytes - sum(taken.bytes)) / Math.max(each.memoryBytes, 1);
  const cpus = (report.cpus - report.load - sum(taken.cpus)) / Math.max(each.cpus, 0.01);
  return Math.min(memory, cpus);
}
