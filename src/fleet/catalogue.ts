/** What sandboxes are made from: templates that operators build on nodes, and snapshots that teams take. */
import type { NodeId } from "./node.js";
import type { TeamId } from "./team.js";

export type CatalogueEntry = CatalogueTemplate | CatalogueSnapshot;

/** Everybody's. It is there as soon as a node reports a template of that name. */
export interface CatalogueTemplate {
  readonly kind: "template";
  readonly id: string;
  /** On the nodes. */
  readonly name: string;
  /** Other names that it goes by, `alias` or `alias:tag`. */
  readonly aliases: readonly string[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A checkpoint that a team took of one of its sandboxes. It is where it was taken. */
export interface CatalogueSnapshot {
  readonly kind: "snapshot";
  readonly id: string;
  readonly team: TeamId;
  readonly node: NodeId;
  readonly checkpoint: string;
  /** Sandbox that it was taken of. */
  readonly sandbox: string;
  /** Unique in the team; a later snapshot of the same name takes it over. */
  readonly name?: string;
  readonly createdAt: Date;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}
