/** What a start may have to do. Steps are data; the node has a table of executors, one for each action. */
import type { SandboxId } from "./sandbox.js";

interface StepArgs {
  /** It runs as recorded, or ran on while a checkpoint or a pause was cut short: take it over as running. */
  adopt: { readonly id: SandboxId; readonly pid: number; readonly pidStart: string };
  /** Its processes stand frozen: let them run, then take it over as running. */
  thaw: { readonly id: SandboxId; readonly pid: number; readonly pidStart: string };
  /** It was restored and runs, only that was not recorded: give it its identity and record it. */
  finishResume: {
    readonly id: SandboxId;
    readonly pid: number;
    readonly pidStart: string;
    /** Absent: it was started anew from its files. */
    readonly checkpoint?: string;
  };
  /** It is recorded as paused: kill what is left of it. */
  finishPause: { readonly id: SandboxId };
  /** Its restore was cut short: remove what there is of it, record it as paused again. */
  rollBackResume: { readonly id: SandboxId; readonly checkpoint?: string };
  /** Nobody was told of it, a clone of a fork included: remove container, layer, directory and record. */
  rollBackCreate: { readonly id: SandboxId };
  /** It was being stopped: record it as stopping if it is not yet, and go on from there. */
  finishStop: { readonly id: SandboxId };
  finishDelete: { readonly id: SandboxId };
  /** Its processes are gone: remove its container, keep its layer. */
  markStopped: { readonly id: SandboxId; readonly exitCode: number; readonly reason: string };
  /** It cannot be brought back: remove container, layer and directory, record the reason. */
  markFailed: { readonly id: SandboxId; readonly reason: string };
  failTemplateBuild: { readonly name: string; readonly reason: string };
  /** A checkpoint that nobody asked for and nothing stands on: remove record, files and layer. */
  removeUnusedCheckpoint: { readonly id: string };
  /** Container, task and directory of a sandbox that has or needs none; its layer stays. */
  removeOrphanContainer: { readonly id: string };
  removeOrphanSnapshot: { readonly key: string };
  /** Directory of a sandbox that does not run. */
  removeOrphanDirectory: { readonly id: string };
  /** An entry of the checkpoints' directory: unfinished, unrecorded, or needed no more. */
  removeOrphanCheckpointDirectory: { readonly name: string };
  /** What it wanted is done or undone by the steps before. */
  dropOperation: { readonly id: string };
}

export type StepAction = keyof StepArgs;
export type StepOf<A extends StepAction> = { readonly action: A } & StepArgs[A];
export type Step = { [A in StepAction]: StepOf<A> }[StepAction];
export type Executors = { [A in StepAction]: (step: StepOf<A>, signal: AbortSignal) => Promise<void> };

/** Every step may run twice: its executor finds done what is done. */
export function executeStep<A extends StepAction>(
  step: StepOf<A>,
  executors: Executors,
  signal: AbortSignal,
): Promise<void> {
  return executors[step.action](step, signal);
}
