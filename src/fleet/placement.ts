/** The fleet in memory: nodes that hold what is wanted, of these the best of a few at random. */
import type { Choice, Fleet, Want } from "./fleet.js";
import {
  fits,
  hasSlot,
  type IndexName,
  type ListedNode,
  neededBytes,
  newListedNode,
  type SourceIndex,
  startReport,
} from "./listed-node.js";
import { createListing, type Listing } from "./listing.js";
import type { NodeId } from "./node.js";
import { headroom, settleTally } from "./room.js";

export function createFleet(): Fleet {
  const nodes = new Map<NodeId, ListedNode>();
  const listing = createListing();
  return {
    put(node) {
      const known = nodes.get(node.id);
      const was = known?.node.report;
      const listed = known ?? newListedNode(node);
      nodes.set(node.id, listed);
      listed.node = node;
      if (was !== node.report) startReport(listed);
      if (node.health === "ready") listing.list(listed, was);
      else if (listed.isListed) listing.unlist(listed);
    },
    remove(id) {
      const listed = nodes.get(id);
      if (listed !== undefined) listing.unlist(listed);
      nodes.delete(id);
    },
    choose(want, random) {
      const [index, key] = sourceOf(want);
      const pick = pickIn(listing, want, random);
      const warm = index === "templates" ? pick("slots", key, (node) => hasSlot(node, key)) : undefined;
      if (warm !== undefined) return reserve(listing, warm, { want, via: "slot", index, key });
      const roomy = pick(index, key, (node) => fits(node, neededBytes(node, index, key)));
      const via = index === "images" ? "capacity" : "checkpoint";
      if (roomy !== undefined) return reserve(listing, roomy, { want, via, index, key });
      return { reason: listing.index[index].count(key) === 0 ? "unknown" : "full" };
    },
    slots: (template) => ({
      ready: listing.slotsReady(template),
      nodes: listing.index.templates.count(template),
    }),
  };
}

function sourceOf({ source }: Want): readonly [index: SourceIndex, key: string] {
  switch (source.kind) {
    case "template":
      return ["templates", source.template];
    case "checkpoint":
      return ["checkpoints", source.checkpoint];
    case "image":
      return ["images", source.image];
  }
}

function pickIn({ index }: Listing, want: Want, random: () => number) {
  return (name: IndexName, key: string, mayTake: (node: ListedNode) => boolean): ListedNode | undefined =>
    index[name].pick(key, {
      isExcept: ({ node }) => want.except.has(node.id),
      fits(listed) {
        const isFit = mayTake(listed);
        // It is closed for this key alone.
        if (!isFit) listed.isOpen = undefined;
        return isFit;
      },
      score: (listed) => headroom(listed.node.report, listed, want),
      random,
    });
}

interface Taken {
  readonly want: Want;
  readonly via: Choice["via"];
  readonly index: SourceIndex;
  readonly key: string;
}

/** Counts it as taken from now on, so that the next decision sees what this one has left. */
function reserve(listing: Listing, listed: ListedNode, { want, via, index, key }: Taken): Choice {
  // A slot has its memory already.
  const bytes = via === "slot" ? 0 : neededBytes(listed, index, key);
  const held = via === "slot" ? listed.templates.get(key) : undefined;
  const tallies = [
    { tally: listed.bytes, amount: bytes },
    { tally: listed.cpus, amount: want.cpus },
    ...(held === undefined ? [] : [{ tally: held.taken, amount: 1 }]),
  ];
  for (const { tally, amount } of tallies) tally.inFlight += amount;
  let isSettled = false;
  return {
    node: listed.node.id,
    via,
    settle(outcome) {
      if (isSettled) return;
      isSettled = true;
      for (const { tally, amount } of tallies) settleTally(tally, amount, outcome === "made");
      if (outcome === "refused") (held ?? listed).isRefused = true;
      if (outcome !== "made") listing.open(listed);
    },
  };
}
