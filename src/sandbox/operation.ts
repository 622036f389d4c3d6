/**
 * An operation is the intent behind a change, written down before anything is done and forgotten when all of
 * it is. What stands in the journal at a start was cut short.
 */
export const operationKinds = [
  "create",
  "claim",
  "fork",
  "checkpoint",
  "pause",
  "resume",
  "roll_back",
  "stop",
  "delete",
  "commit",
  "build_template",
] as const;

export type OperationKind = (typeof operationKinds)[number];

export interface Operation {
  readonly id: string;
  readonly kind: OperationKind;
  /** Sandbox acted upon; of a fork the source, of a template's build the sandbox that it runs in. */
  readonly sandbox?: string;
  readonly template?: string;
  /** Checkpoint that is being taken or restored. */
  readonly checkpoint?: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** How far it got, for people. */
  readonly step: string;
  readonly startedAt: Date;
}
