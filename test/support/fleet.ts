/** Nodes and chance for tests of what a registry decides. */
import type { Want } from "../../src/fleet/fleet.js";
import type { NodeReport } from "../../src/fleet/node.js";

export const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/** An idle machine of 8 cores and 16 GiB that holds nothing. */
export const report = (over: Partial<NodeReport> = {}): NodeReport => ({
  version: "0.1.0",
  cpus: 8,
  memoryBytes: 16 * gibibyte,
  memoryFreeBytes: 15 * gibibyte,
  diskBytes: 100 * gibibyte,
  diskFreeBytes: 90 * gibibyte,
  load: 0,
  templates: [],
  checkpoints: [],
  images: [],
  ...over,
});

export const wantTemplate = (template: string): Want => ({
  source: { kind: "template", template },
  cpus: 1,
  memoryBytes: 512 * mebibyte,
  except: new Set(),
});
