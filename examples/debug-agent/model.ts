/**
 * What decides, turn by turn: it is told what happened so far, and says what to do next. A language model behind an
 * API is one; `rule-based-model.ts` stands in for it where there is none.
 */
import type { Session } from "./memory.js";

export interface Model {
  /** For the report: who has judged. */
  readonly description: string;
  next(conversation: Conversation, signal: AbortSignal): Promise<Turn>;
}

export interface Conversation {
  readonly task: Task;
  /** What was asked for so far, and what came back. */
  readonly steps: readonly Step[];
}

export interface Task {
  readonly submission: Submission;
  /** Earlier sessions with a submission of this name, newest first. */
  readonly remembered: readonly Session[];
}

export interface Submission {
  readonly name: string;
  readonly code: string;
}

export interface Step {
  readonly calls: readonly ToolCall[];
  /** One for each call, JSON. */
  readonly results: readonly string[];
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it, which may be none. */
  readonly arguments: string;
}

export type Turn =
  | { readonly kind: "calls"; readonly calls: readonly ToolCall[] }
  | { readonly kind: "diagnosis"; readonly text: string };
