/**
 * A node as the registry sees it: who it is (written down), and what it last said of itself (kept in memory; the
 * next report replaces it). The agent alone decides what runs; a report is what it decided.
 */
import type { SandboxStatus } from "../sandbox/state.js";

declare const brand: unique symbol;
export type NodeId = string & { readonly [brand]: "node" };

/** What is written down of a node. */
export interface NodeRecord {
  readonly id: NodeId;
  /** Unique; for people. Default: the machine's host name. */
  readonly name: string;
  /** `host:port` at which the agent's API answers; empty for the agent of the registry's own process tree. */
  readonly address: string;
  /** Serial number of its certificate, lower-case hexadecimal; empty for one reached by a unix socket. */
  readonly certificate: string;
  readonly joinedAt: Date;
  /** No new work: by hand, or while it is drained. */
  readonly isCordoned: boolean;
  /** Written once a minute, and when it goes silent. */
  readonly seenAt: Date;
}

/**
 * ready: reports come. unreachable: three were missed, or it cannot be called; no new work. lost: silent for longer than
 * `nodes.lost_after_s`; its sandboxes are shown as lost.
 */
export type NodeHealth = "ready" | "unreachable" | "lost";

/** What a node has said of itself. Everything that an agent says is checked at the edge and bounded. */
export interface NodeReport extends NodeLoad, NodeStock {
  /** Of the software. */
  readonly version: string;
}

/** Said with each beat. */
export interface NodeLoad {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number;
  readonly diskBytes: number;
  readonly diskFreeBytes: number;
  /** Of the last minute, over all cores: 1 is one core busy. */
  readonly load: number;
  readonly templates: readonly HeldTemplate[];
}

/** Said when it has changed. */
export interface NodeStock {
  /** Ids of the checkpoints that it can restore; golden ones are with their templates. */
  readonly checkpoints: readonly string[];
  /** Names of its images. */
  readonly images: readonly string[];
}

export interface HeldTemplate {
  readonly name: string;
  /** Its golden checkpoint. */
  readonly checkpoint: string;
  /** Warm slots that can be claimed now. */
  readonly slotsReady: number;
  /** What a slot or a clone needs before it writes. */
  readonly cloneBytes: number;
  readonly cpus?: number;
  readonly memoryBytes?: number;
}

/** A sandbox as its node reports it. */
export interface ReportedSandbox {
  readonly id: string;
  readonly status: SandboxStatus;
  /** When it came into this status. */
  readonly since: Date;
  readonly labels: Readonly<Record<string, string>>;
  /** Why, where it failed. */
  readonly reason?: string;
  /** Of one that is paused: whether its memory is kept too. */
  readonly keepsMemory?: boolean;
}

/** What is new on a node since it last said something; the first time, and when it is asked for, all of it. */
export interface NodeNews {
  readonly load: NodeLoad;
  readonly stock?: NodeStock;
  readonly inventory?: SandboxNews;
}

/** All the sandboxes that carry the registry's label, or only those that changed. */
export interface SandboxNews {
  readonly isWhole: boolean;
  readonly sandboxes: readonly ReportedSandbox[];
  /** Ids of those that are gone; empty when it is whole. */
  readonly gone: readonly string[];
}
