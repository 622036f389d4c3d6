/** Keeps the indexes of placement in step with what nodes report. */
import { createHolders, type Holders } from "./holders.js";
import { fits, hasSlot, type IndexName, type ListedNode, neededBytes } from "./listed-node.js";
import type { HeldTemplate, NodeReport } from "./node.js";
import { newTally, startBytes } from "./room.js";

export interface Listing {
  readonly index: { readonly [I in IndexName]: Holders<ListedNode> };
  /** Takes a ready node in, or what changed of it since the report `was`. */
  list(listed: ListedNode, was: NodeReport | undefined): void;
  unlist(listed: ListedNode): void;
  /** To be called when room has come back. */
  open(listed: ListedNode): void;
  slotsReady(template: string): number;
}

export function createListing(): Listing {
  const index: Listing["index"] = {
    slots: createHolders(({ at }) => at.slots),
    templates: createHolders(({ at }) => at.templates),
    checkpoints: createHolders(({ at }) => at.checkpoints),
    images: createHolders(({ at }) => at.images),
  };
  const ready = createCounts();

  function listTemplates(listed: ListedNode, templates: readonly HeldTemplate[]): void {
    const gone = new Set(listed.templates.keys());
    for (const template of templates) {
      const held = listed.templates.get(template.name);
      ready.add(template.name, template.slotsReady - (held?.template.slotsReady ?? 0));
      if (held !== undefined) held.template = template;
      else listed.templates.set(template.name, { template, taken: newTally(), isRefused: false });
      gone.delete(template.name);
      index.slots.add(template.name, listed);
      index.templates.add(template.name, listed);
    }
    for (const name of gone) {
      ready.add(name, -(listed.templates.get(name)?.template.slotsReady ?? 0));
      listed.templates.delete(name);
      index.slots.remove(name, listed);
      index.templates.remove(name, listed);
    }
  }

  function listKeys(listed: ListedNode, kind: "checkpoints" | "images", keys: readonly string[]): void {
    const kept = new Set(keys);
    for (const key of listed.at[kind].keys()) if (!kept.has(key)) index[kind].remove(key, listed);
    for (const key of kept) index[kind].add(key, listed);
    listed.isOpen = undefined;
  }

  function open(listed: ListedNode): void {
    for (const name of listed.templates.keys()) {
      index.slots.set(name, listed, hasSlot(listed, name));
      index.templates.set(name, listed, fits(listed, neededBytes(listed, "templates", name)));
    }
    const isOpen = fits(listed, startBytes);
    if (isOpen === listed.isOpen) return;
    listed.isOpen = isOpen;
    for (const kind of ["checkpoints", "images"] as const)
      for (const key of listed.at[kind].keys()) index[kind].set(key, listed, isOpen);
  }

  return {
    index,
    open,
    list(listed, was) {
      const { templates, checkpoints, images } = listed.node.report;
      const known = listed.isListed ? was : undefined;
      listed.isListed = true;
      // A list that has not changed since the last report may be the same object, and costs nothing then.
      if (known?.templates !== templates) listTemplates(listed, templates);
      if (known?.checkpoints !== checkpoints) listKeys(listed, "checkpoints", checkpoints);
      if (known?.images !== images) listKeys(listed, "images", images);
      open(listed);
    },
    unlist(listed) {
      listTemplates(listed, []);
      listKeys(listed, "checkpoints", []);
      listKeys(listed, "images", []);
      listed.isListed = false;
    },
    slotsReady: ready.of,
  };
}

function createCounts() {
  const counts = new Map<string, number>();
  const of = (key: string) => counts.get(key) ?? 0;
  return {
    of,
    add(key: string, by: number): void {
      const count = of(key) + by;
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
    },
  };
}
