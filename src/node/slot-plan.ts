/** Which warm slots are made next, and which are ended. Pure. */
import type { SlotTarget } from "../template/template.js";

export interface PlannedTemplate {
  readonly name: string;
  /** Golden checkpoint that its slots are restored from; undefined while there is none. */
  readonly checkpoint: string | undefined;
  readonly target: SlotTarget;
  /** Memory that one more slot is likely to take. */
  readonly estimateBytes: number;
  /** Making one has just failed. */
  readonly isHeldBack: boolean;
}

export interface PlannedSlot {
  readonly id: string;
  readonly template: string;
  readonly checkpoint: string;
  readonly bytes: number;
}

export interface SlotPlan {
  readonly end: readonly string[];
  /** A template that lacks a slot; the most wanting one. */
  readonly make: string | undefined;
  /** Templates below their minimum that the budget has no room for. */
  readonly starved: readonly string[];
}

/**
 * Every template gets its minimum before any gets more, and slots above a minimum make room for another's minimum.
 * What the budget has left then fills them up to their maximums, evenly.
 */
export function planSlots(
  templates: readonly PlannedTemplate[],
  slots: readonly PlannedSlot[],
  budgetBytes: number,
): SlotPlan {
  const wanted = new Map(templates.map((template) => [template.name, template]));
  const kept = new Map<string, PlannedSlot[]>(templates.map(({ name }) => [name, []]));
  const end: string[] = [];
  for (const slot of slots) {
    const template = wanted.get(slot.template);
    const group = kept.get(slot.template) ?? [];
    const isCurrent = template !== undefined && template.checkpoint === slot.checkpoint;
    if (isCurrent && group.length < template.target.max) group.push(slot);
    else end.push(slot.id);
  }
  const surplusOf = ({ name, target }: PlannedTemplate) => (kept.get(name)?.length ?? 0) - target.min;
  const usedBytes = () => [...kept.values()].flat().reduce((sum, { bytes }) => sum + bytes, 0);
  const makeRoom = (neededBytes: number, isFor?: PlannedTemplate) => {
    while (usedBytes() + neededBytes > budgetBytes) {
      const [most] = templates
        .filter((template) => template !== isFor && (kept.get(template.name)?.length ?? 0) > 0)
        .sort((a, b) => surplusOf(b) - surplusOf(a));
      if (most === undefined || (isFor !== undefined && surplusOf(most) <= 0)) return false;
      end.push(kept.get(most.name)?.pop()?.id ?? "");
    }
    return true;
  };
  makeRoom(0);
  const ready = templates.filter(({ checkpoint, isHeldBack }) => checkpoint !== undefined && !isHeldBack);
  const fill = ({ name, target }: PlannedTemplate) => (kept.get(name)?.length ?? 0) / target.max;
  const starved: string[] = [];
  for (const template of ready.filter((it) => surplusOf(it) < 0).sort((a, b) => fill(a) - fill(b))) {
    if (couldFit(template, templates, kept, budgetBytes) && makeRoom(template.estimateBytes, template))
      return { end, make: template.name, starved };
    starved.push(template.name);
  }
  const [next] = ready
    .filter(({ name, target }) => (kept.get(name)?.length ?? 0) < target.max)
    .filter(({ estimateBytes }) => usedBytes() + estimateBytes <= budgetBytes)
    .filter(({ name }) => !starved.includes(name))
    .sort((a, b) => fill(a) - fill(b));
  // While a minimum waits for room, nobody grows into it.
  return { end, make: starved.length > 0 ? undefined : next?.name, starved };
}

/** Whether ending all that is above the others' minimums would do; else nothing is ended for it. */
function couldFit(
  template: PlannedTemplate,
  templates: readonly PlannedTemplate[],
  kept: ReadonlyMap<string, readonly PlannedSlot[]>,
  budgetBytes: number,
): boolean {
  const others = templates.filter((it) => it !== template);
  const minimumBytes = others
    .flatMap(({ name, target }) => kept.get(name)?.slice(0, target.min) ?? [])
    .reduce((sum, { bytes }) => sum + bytes, 0);
  const ownBytes = (kept.get(template.name) ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
  return minimumBytes + ownBytes + template.estimateBytes <= budgetBytes;
}
