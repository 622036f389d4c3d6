import { describe, expect, it } from "vitest";
import { type PlannedSlot, type PlannedTemplate, planSlots } from "./slot-plan.js";

const template = (name: string, min: number, max: number, more: Partial<PlannedTemplate> = {}) => ({
  ...{ name, checkpoint: `golden-${name}`, target: { min, max }, estimateBytes: 10, isHeldBack: false },
  ...more,
});
const slots = (name: string, count: number, bytes = 10): PlannedSlot[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ id: `${name}${index + 1}`, template: name, checkpoint: `golden-${name}`, bytes },
  }));
const plan = (templates: readonly PlannedTemplate[], have: readonly PlannedSlot[], budgetBytes = 1000) =>
  planSlots(templates, have, budgetBytes);
const nothing = { end: [], make: undefined, starved: [] };

describe("planSlots", () => {
  it("does nothing where everything is as wanted", () => {
    expect(plan([], [])).toEqual(nothing);
    expect(plan([template("a", 0, 0)], [])).toEqual(nothing);
    expect(plan([template("a", 1, 2)], slots("a", 2))).toEqual(nothing);
  });

  it("fills minimums first, then evenly up to the maximums", () => {
    const [a, b] = [template("a", 1, 4), template("b", 2, 2)];
    expect(plan([a, b], [])).toMatchObject({ make: "a" });
    expect(plan([a, b], slots("a", 1))).toMatchObject({ make: "b" });
    expect(plan([a, b], [...slots("a", 1), ...slots("b", 1)])).toMatchObject({ make: "b" });
    expect(plan([a, b], [...slots("a", 1), ...slots("b", 2)])).toMatchObject({ make: "a" });
  });

  it.each([
    ["whose template is gone", []],
    ["whose template is being built", [template("a", 1, 1, { checkpoint: undefined })]],
    ["of an earlier golden checkpoint", [template("a", 0, 0, { checkpoint: "golden-new" })]],
    ["that no target asks for any more", [template("a", 0, 0)]],
  ])("ends slots %s", (_why, templates) => {
    expect(plan(templates, slots("a", 1))).toEqual({ ...nothing, end: ["a1"] });
  });

  it("ends what is above a maximum that was lowered", () => {
    expect(plan([template("a", 0, 1)], slots("a", 3))).toEqual({ ...nothing, end: ["a2", "a3"] });
  });

  it("never goes beyond the budget", () => {
    expect(plan([template("a", 0, 9)], slots("a", 2), 30)).toMatchObject({ make: "a" });
    expect(plan([template("a", 0, 9)], slots("a", 3), 30)).toEqual(nothing);
    expect(plan([template("a", 9, 9)], slots("a", 3), 30)).toEqual({ ...nothing, starved: ["a"] });
    expect(plan([template("a", 1, 1)], [], 9)).toEqual({ ...nothing, starved: ["a"] });
  });

  it("ends slots that have grown beyond the budget, those above a minimum first", () => {
    const both = [template("a", 2, 9), template("b", 0, 9)];
    const grown = [...slots("a", 2, 20), ...slots("b", 2, 20)];
    expect(plan(both, grown, 60)).toMatchObject({ end: ["b2"] });
    expect(plan(both, grown, 40)).toMatchObject({ end: ["b2", "b1"] });
    expect(plan(both, grown, 20)).toMatchObject({ end: ["b2", "b1", "a2"] });
  });

  it("makes room for a minimum with what is above others' minimums, and with nothing else", () => {
    const [a, b] = [template("a", 1, 1), template("b", 1, 3)];
    expect(plan([a, b], slots("b", 3), 30)).toEqual({ end: ["b3"], make: "a", starved: [] });
    expect(plan([a, b], slots("b", 1), 10)).toEqual({ ...nothing, starved: ["a"] });
    const large = template("a", 1, 1, { estimateBytes: 25 });
    expect(plan([large, b], slots("b", 3), 30)).toEqual({ ...nothing, starved: ["a"] });
  });

  it("lets nobody grow into room that a minimum waits for", () => {
    const large = template("a", 1, 1, { estimateBytes: 40 });
    expect(plan([large, template("b", 0, 3)], [], 30)).toEqual({ ...nothing, starved: ["a"] });
  });

  it("leaves a template alone whose slots have just failed", () => {
    const [a, b] = [template("a", 1, 1, { isHeldBack: true }), template("b", 0, 1)];
    expect(plan([a, b], [])).toEqual({ ...nothing, make: "b" });
  });
});
