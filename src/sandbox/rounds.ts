/** Which steps of a recovery may be taken side by side. Pure. */
import type { Step, StepAction } from "./recovery-step.js";

/** Checkpoints stand on each other, and so do layers: they come in the order in which they can go. */
const inOrder: ReadonlySet<StepAction> = new Set(["removeUnusedCheckpoint", "removeOrphanSnapshot"]);

/**
 * The steps of a plan in its order, in rounds: those of one are about different things, and the next round begins
 * once all have ended. The journal is the last, as it says what the others were for.
 */
export function planRounds(steps: readonly Step[]): Step[][] {
  const rounds: Step[][] = [];
  let last: StepAction | undefined;
  for (const step of steps) {
    const { action } = step;
    const isApart = inOrder.has(action) || (last !== undefined && inOrder.has(last));
    const beginsJournal = action === "dropOperation" && last !== "dropOperation";
    const round = rounds.at(-1);
    if (round === undefined || isApart || beginsJournal) rounds.push([step]);
    else round.push(step);
    last = action;
  }
  return rounds;
}
