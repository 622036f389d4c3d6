/** What may have to be done so that records and nodes agree. Steps are data; the registry has a table of executors. */
import type { NodeId } from "./node.js";
import type { OwnedState } from "./sandbox.js";

interface StepArgs {
  /** Record what its node says of it. */
  adopt: { readonly id: string; readonly state: OwnedState; readonly endAt: Date };
  /** It has ended: delete what its node still has of it, then its record. */
  end: { readonly id: string; readonly reason: string };
  /** Its node has nothing of it any more: delete its record. */
  forget: { readonly id: string; readonly reason: string };
  /** Nobody owns it and nobody was told of it: delete it on the node. */
  reap: { readonly id: string; readonly request: string };
  /** It is recorded on another node. Nothing but a person can tell which one is right: log it, touch neither. */
  dispute: { readonly id: string; readonly recordedOn: NodeId };
}

export type ReconcileAction = keyof StepArgs;
export type ReconcileStepOf<A extends ReconcileAction> = { readonly action: A } & StepArgs[A];
export type ReconcileStep = { [A in ReconcileAction]: ReconcileStepOf<A> }[ReconcileAction];
