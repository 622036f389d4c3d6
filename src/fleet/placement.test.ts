import { describe, expect, it } from "vitest";
import { mebibyte, report, wantTemplate } from "../../test/support/fleet.js";
import { seeded } from "../lib/random.js";
import type { Choice, Fleet, FleetNode, Want } from "./fleet.js";
import type { NodeId, NodeReport } from "./node.js";
import { createFleet } from "./placement.js";

const id = (name: string) => name as NodeId;
const node = (name: string, over: Partial<NodeReport> = {}, more: Partial<FleetNode> = {}): FleetNode => ({
  ...{ id: id(name), health: "ready", isCordoned: false, report: report(over) },
  ...more,
});
const holding = (slotsReady: number, name = "python") => ({
  templates: [{ name, checkpoint: "golden", slotsReady, cloneBytes: 4 * mebibyte }],
});
const fleetOf = (...nodes: FleetNode[]): Fleet => {
  const fleet = createFleet();
  for (const each of nodes) fleet.put(each);
  return fleet;
};
const want = wantTemplate("python");
const wantCheckpoint: Want = { ...want, source: { kind: "checkpoint", checkpoint: "c1" } };
const wantImage: Want = { ...want, source: { kind: "image", image: "debian" } };
const chosen = (fleet: Fleet, wanted: Want = want, random = seeded(1)): Choice => {
  const choice = fleet.choose(wanted, random);
  if (choice.node === undefined) throw new Error(`nothing was chosen: ${choice.reason}`);
  return choice;
};
const counts = (names: readonly string[]) => {
  const byNode = new Map<string, number>();
  for (const name of names) byNode.set(name, (byNode.get(name) ?? 0) + 1);
  return byNode;
};

describe("what is preferred", () => {
  const empty = node("empty");
  const warm = node("warm", { ...holding(1), memoryFreeBytes: 2048 * mebibyte });
  const held = node("held", holding(0));
  const withCheckpoint = node("checkpoint", { checkpoints: ["c1"] });
  const withImage = node("image", { images: ["debian"] });

  it.each<[string, FleetNode[], Want, string, Choice["via"]]>([
    ["a warm slot, before a node with more room", [empty, held, warm], want, "warm", "slot"],
    ["a node that has the template", [empty, held], want, "held", "checkpoint"],
    [
      "a node that has the checkpoint",
      [empty, held, withCheckpoint],
      wantCheckpoint,
      "checkpoint",
      "checkpoint",
    ],
    ["a node that has the image", [empty, withImage], wantImage, "image", "capacity"],
  ])("is %s", (_what, nodes, wanted, expected, via) => {
    expect(chosen(fleetOf(...nodes), wanted)).toMatchObject({ node: expected, via });
  });

  it("is warm slots while there are any, then golden checkpoints by free capacity, then nothing", () => {
    const room = (mib: number) => ({ memoryFreeBytes: mib * mebibyte, memoryBytes: 16_384 * mebibyte });
    const golden = (slotsReady: number, mib: number) => ({ ...holding(slotsReady), cpus: 64, ...room(mib) });
    const fleet = fleetOf(
      node("slots", golden(2, 1024)),
      node("small", golden(0, 1024)),
      node("large", golden(0, 12_288)),
      // More room than all of them, and nothing that it could be made from without a restore from elsewhere.
      node("other", { checkpoints: ["c1"], images: ["debian"], ...room(16_384) }),
    );
    const random = seeded(5);
    for (let slot = 0; slot < 2; slot++)
      expect(chosen(fleet, want, random)).toMatchObject({ node: "slots", via: "slot" });
    const clones = Array.from({ length: 30 }, () => chosen(fleet, want, random));
    expect(new Set(clones.map(({ via }) => via))).toEqual(new Set(["checkpoint"]));
    const byNode = counts(clones.map((clone) => clone.node));
    expect(new Set(byNode.keys())).toEqual(new Set(["slots", "small", "large"]));
    expect(byNode.get("large")).toBeGreaterThan(15);
    for (const name of ["slots", "small", "large"]) fleet.put(node(name, golden(0, 100)));
    expect(fleet.choose(want, random)).toEqual({ reason: "full" });
  });

  it.each<[string, Want]>([
    ["template", want],
    ["checkpoint", wantCheckpoint],
    ["image", wantImage],
  ])("is nothing where no node has the %s", (_what, wanted) => {
    expect(fleetOf(empty).choose(wanted, seeded(1))).toEqual({ reason: "unknown" });
    expect(createFleet().choose(wanted, seeded(1))).toEqual({ reason: "unknown" });
  });
});

describe("what gets nothing", () => {
  const everything = { ...holding(1), checkpoints: ["c1"], images: ["debian"] };
  const wants = [want, wantCheckpoint, wantImage];

  it.each<[string, FleetNode]>([
    ["unreachable", node("a", everything, { health: "unreachable" })],
    ["lost", node("a", everything, { health: "lost" })],
  ])("is a node that is %s", (_what, silent) => {
    for (const wanted of wants)
      expect(fleetOf(silent).choose(wanted, seeded(1))).toEqual({ reason: "unknown" });
  });

  it("is a cordoned node", () => {
    const cordoned = node("a", everything, { isCordoned: true });
    for (const wanted of wants)
      expect(fleetOf(cordoned).choose(wanted, seeded(1))).toEqual({ reason: "full" });
  });

  it.each<[string, Partial<NodeReport>]>([
    ["memory", { memoryFreeBytes: 400 * mebibyte }],
    ["disk", { diskFreeBytes: 400 * mebibyte }],
  ])("is a node without %s, but for its warm slots", (_what, over) => {
    const fleet = fleetOf(node("a", { ...everything, ...over }));
    expect(chosen(fleet)).toMatchObject({ node: "a", via: "slot" });
    for (const wanted of wants) expect(fleet.choose(wanted, seeded(1))).toEqual({ reason: "full" });
  });

  it("is one that has refused it", () => {
    const fleet = fleetOf(node("a", everything), node("b", everything));
    expect(chosen(fleet, { ...want, except: new Set([id("a")]) }).node).toBe("b");
    expect(fleet.choose({ ...want, except: new Set([id("a"), id("b")]) }, seeded(1))).toEqual({
      reason: "full",
    });
  });

  it("is one that was removed, or no longer has it", () => {
    const fleet = fleetOf(node("a", everything), node("b", everything));
    fleet.remove(id("a"));
    fleet.put(node("b", { checkpoints: ["c2"] }));
    for (const wanted of wants) expect(fleet.choose(wanted, seeded(1))).toEqual({ reason: "unknown" });
    expect(fleet.slots("python")).toEqual({ ready: 0, nodes: 0 });
  });

  it("gets something again once it is ready, uncordoned, has room", () => {
    for (const over of [{ health: "lost" as const }, { isCordoned: true }]) {
      const fleet = fleetOf(node("a", everything, over));
      fleet.put(node("a", everything));
      for (const wanted of wants) expect(chosen(fleet, wanted).node).toBe("a");
    }
    const fleet = fleetOf(node("a", { ...everything, memoryFreeBytes: 0 }));
    for (const wanted of [wantCheckpoint, wantImage])
      expect(fleet.choose(wanted, seeded(1))).toEqual({ reason: "full" });
    fleet.put(node("a", everything));
    for (const wanted of wants) expect(chosen(fleet, wanted).node).toBe("a");
  });
});

describe("between two reports", () => {
  it("gives one slot to one of many claims", () => {
    const fleet = fleetOf(node("a", holding(1)), node("b", holding(0)));
    const choices = Array.from({ length: 20 }, () => chosen(fleet));
    expect(choices.filter(({ via }) => via === "slot").map((it) => it.node)).toEqual(["a"]);
  });

  it("counts what was made until the next report, what is in flight for longer", () => {
    const fleet = fleetOf(node("a", holding(2)));
    chosen(fleet).settle("made");
    const inFlight = chosen(fleet);
    expect([inFlight.via, chosen(fleet).via]).toEqual(["slot", "checkpoint"]);
    fleet.put(node("a", holding(2)));
    expect([chosen(fleet).via, chosen(fleet).via]).toEqual(["slot", "checkpoint"]);
    inFlight.settle("failed");
    expect(chosen(fleet).via).toBe("slot");
  });

  it("is not taken for a new report when a node is cordoned or goes silent for a moment", () => {
    const same = node("a", holding(1));
    const fleet = fleetOf(same);
    chosen(fleet).settle("made");
    fleet.put({ ...same, isCordoned: true });
    fleet.put(same);
    expect(chosen(fleet).via).toBe("checkpoint");
  });

  it("gives back what failed", () => {
    const fleet = fleetOf(node("a", holding(1)));
    const choice = chosen(fleet);
    choice.settle("failed");
    choice.settle("failed");
    expect([chosen(fleet).via, chosen(fleet).via]).toEqual(["slot", "checkpoint"]);
  });

  it("asks a node that has refused a slot for no more of them, and for clones", () => {
    const fleet = fleetOf(node("a", holding(5)));
    chosen(fleet).settle("refused");
    expect(chosen(fleet).via).toBe("checkpoint");
    fleet.put(node("a", holding(5)));
    expect(chosen(fleet).via).toBe("slot");
  });

  it("asks a node that has refused a clone for no clone of anything, and for slots", () => {
    const both = { templates: [...holding(0, "empty").templates, ...holding(1).templates] };
    const fleet = fleetOf(node("a", { ...both, checkpoints: ["c1"] }));
    chosen(fleet, wantTemplate("empty")).settle("refused");
    expect(fleet.choose(wantTemplate("empty"), seeded(1))).toEqual({ reason: "full" });
    expect(fleet.choose(wantCheckpoint, seeded(1))).toEqual({ reason: "full" });
    expect(chosen(fleet).via).toBe("slot");
    fleet.put(node("a", { ...both, checkpoints: ["c1"] }));
    expect(chosen(fleet, wantCheckpoint).node).toBe("a");
  });

  it("fills a node to its reserve and no further", () => {
    // 512 MiB above a twentieth of 16 GiB, at 4 MiB for each clone and 64 for what nobody has measured.
    const free = Math.ceil(16_384 / 20) + 512;
    const over = { memoryFreeBytes: free * mebibyte, checkpoints: ["c1"] };
    const clones = fleetOf(node("a", { ...holding(0), ...over }));
    for (let made = 0; made < 128; made++) chosen(clones).settle("made");
    expect(clones.choose(want, seeded(1))).toEqual({ reason: "full" });
    const restores = fleetOf(node("a", over));
    for (let made = 0; made < 8; made++) chosen(restores, wantCheckpoint).settle("made");
    expect(restores.choose(wantCheckpoint, seeded(1))).toEqual({ reason: "full" });
    restores.put(node("a", over));
    expect(chosen(restores, wantCheckpoint).node).toBe("a");
  });

  it("lets a settled choice of a node that is gone do nothing", () => {
    const fleet = fleetOf(node("a", holding(1)));
    const choice = chosen(fleet);
    fleet.remove(id("a"));
    choice.settle("failed");
    expect(fleet.choose(want, seeded(1))).toEqual({ reason: "unknown" });
  });
});

describe("spread", () => {
  const names = Array.from({ length: 100 }, (_, index) => `n${index}`);

  it("is even over equal nodes", () => {
    const fleet = fleetOf(...names.map((name) => node(name, { ...holding(0), cpus: 64 })));
    const random = seeded(7);
    const byNode = counts(Array.from({ length: 5_000 }, () => chosen(fleet, want, random).node));
    expect(byNode.size).toBe(100);
    expect(Math.max(...byNode.values()) - Math.min(...byNode.values())).toBeLessThanOrEqual(4);
  });

  it("gives more to those with more room", () => {
    const fleet = fleetOf(
      ...names.map((name, index) =>
        node(name, { ...holding(0), cpus: 64, memoryFreeBytes: (index < 50 ? 16 : 8) * 1024 * mebibyte }),
      ),
    );
    const random = seeded(7);
    const choices = Array.from({ length: 1_000 }, () => chosen(fleet, want, random).node);
    expect(choices.filter((name) => Number(name.slice(1)) < 50).length).toBeGreaterThan(800);
  });

  it("leaves busy processors alone", () => {
    const fleet = fleetOf(
      ...names.map((name, index) => node(name, { ...holding(0), load: index < 50 ? 8 : 0 })),
    );
    const choices = Array.from({ length: 50 }, (_, seed) => chosen(fleet, want, seeded(seed)).node);
    expect(choices.filter((name) => Number(name.slice(1)) < 50).length).toBeLessThan(20);
  });

  it("does not herd when several registries choose by the same reports", () => {
    const nodes = names.map((name, index) =>
      node(name, { ...holding(0), cpus: 64, load: (index % 10) / 10 }),
    );
    const made = [1, 2, 3, 4].flatMap((seed) => {
      const [fleet, random] = [fleetOf(...nodes), seeded(seed)];
      return Array.from({ length: 250 }, () => chosen(fleet, want, random).node);
    });
    expect(Math.max(...counts(made).values())).toBeLessThanOrEqual(25);
  });

  it("empties no node of its slots while others have many", () => {
    const fleet = fleetOf(...names.map((name) => node(name, holding(10))));
    const random = seeded(3);
    const byNode = counts(Array.from({ length: 500 }, () => chosen(fleet, want, random).node));
    expect(Math.max(...byNode.values())).toBeLessThanOrEqual(8);
  });
});

describe("a long run of everything", () => {
  /** The obvious way, by looking at all nodes. */
  const mayTake = ({ health, isCordoned, report: said }: FleetNode) =>
    health === "ready" && !isCordoned && said.memoryFreeBytes >= said.memoryBytes / 20 + 64 * mebibyte;

  const change = (random: () => number): FleetNode | { readonly id: NodeId; readonly health?: undefined } => {
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const name = `n${Math.floor(random() * 12)}`;
    if (random() < 0.2) return { id: id(name) };
    const over = {
      templates: pick([[], holding(Math.floor(random() * 3)).templates]),
      checkpoints: ["c1", "c2", "c3"].filter(() => random() < 0.4),
      images: pick([[], ["debian"]]),
      memoryFreeBytes: pick([0, 16_000]) * mebibyte,
    };
    return node(name, over, {
      health: pick(["ready", "ready", "unreachable", "lost"]),
      isCordoned: random() < 0.2,
    });
  };

  it.each([1, 2, 3])("never chooses what may take nothing, and never misses what may (seed %i)", (seed) => {
    const random = seeded(seed);
    const fleet = createFleet();
    const truth = new Map<string, FleetNode>();
    for (let step = 0; step < 1_000; step++) {
      const changed = change(random);
      if (changed.health === undefined) {
        truth.delete(changed.id);
        fleet.remove(changed.id);
      } else {
        truth.set(changed.id, changed);
        fleet.put(changed);
      }
      const ready = [...truth.values()].filter(({ health }) => health === "ready");
      const holders = ready.filter(({ report: said }) => said.checkpoints.includes("c1"));
      const able = holders.filter(mayTake).map((it) => it.id);
      const choice = fleet.choose(wantCheckpoint, random);
      if (choice.node === undefined)
        expect([choice.reason, able]).toEqual([holders.length === 0 ? "unknown" : "full", []]);
      else {
        expect(able).toContain(choice.node);
        choice.settle("failed");
      }
      const templates = ready.flatMap(({ report: said }) => said.templates);
      const slotsReady = templates.reduce((sum, held) => sum + held.slotsReady, 0);
      expect(fleet.slots("python")).toEqual({ ready: slotsReady, nodes: templates.length });
    }
  });
});

describe("the cost of a decision", () => {
  it.each([10, 100, 1_000, 10_000])("is a few looks at nodes when there are %i", (size) => {
    let looks = 0;
    const random = seeded(5);
    const nodes = Array.from({ length: size }, (_, index) => node(`n${index}`, holding(1)));
    const fleet = fleetOf(
      ...nodes.map((each) => ({
        ...each,
        get health() {
          looks++;
          return "ready" as const;
        },
      })),
    );
    looks = 0;
    const decisions = Math.min(10 * size, 5_000);
    for (let made = 0; made < decisions; made++) chosen(fleet, want, random).settle("made");
    // Three of each are looked at, twice where there is no slot, and once more each time that one turns out to be full.
    expect(looks / decisions).toBeLessThan(8);
  });
});
