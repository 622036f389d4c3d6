/** A template is an image with its start command run and ready: a golden checkpoint that creates restore. */
import type { Limits } from "../sandbox/sandbox.js";

export interface TemplateSpec {
  /** `^[a-z0-9][a-z0-9._-]{0,62}$` */
  readonly name: string;
  readonly image: string;
  /** Shell command run at build, kept running in the golden checkpoint. Absent: nothing is started. */
  readonly startCommand?: string;
  /** Shell command tried until it exits 0 (every 200 ms) before the golden checkpoint is taken. */
  readonly readyCommand?: string;
  /** Default 60,000 ms. */
  readonly readyTimeoutMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly cwd?: string;
  readonly limits: Limits;
  readonly allowPrivilegeEscalation: boolean;
}

export type TemplateState =
  | { readonly status: "building"; readonly since: Date }
  | { readonly status: "ready"; readonly since: Date; readonly checkpoint: string }
  | { readonly status: "failed"; readonly since: Date; readonly reason: string };

/** How many warm slots a template keeps: `min` before anything else, up to `max` where memory allows. */
export interface SlotTarget {
  readonly min: number;
  readonly max: number;
}

export const noSlots: SlotTarget = { min: 0, max: 0 };
export const slotsMax = 1000;

export interface Template {
  readonly spec: TemplateSpec;
  readonly slots: SlotTarget;
  readonly createdAt: Date;
  readonly state: TemplateState;
}
