/** Records to keep in a registry's store, and what they need to stand on. */
import type { CatalogueSnapshot, CatalogueTemplate } from "../../src/fleet/catalogue.js";
import type { NodeId, NodeRecord } from "../../src/fleet/node.js";
import type { OwnedSandbox } from "../../src/fleet/sandbox.js";
import type { ApiKey, Team, TeamId } from "../../src/fleet/team.js";
import type { JoinToken, RegistryStore, SandboxQuery } from "../../src/registry-store/registry-store.js";

export const now = new Date("2026-01-02T03:04:05.678Z");
export const later = (ms: number) => new Date(now.getTime() + ms);

export const teamId = (name: string) => name as TeamId;
export const nodeId = (name: string) => name as NodeId;

export const aTeam = (name: string, over: Partial<Team> = {}): Team => ({
  id: teamId(name),
  name: `team-${name}`,
  limits: {},
  createdAt: now,
  ...over,
});

export const aKey = (id: string, over: Partial<ApiKey> = {}): ApiKey => ({
  id,
  team: teamId("t1"),
  name: "laptop",
  hash: `hash of ${id}`,
  mask: "e2b_ab…cdef",
  createdAt: now,
  ...over,
});

export const aNode = (id: string, over: Partial<NodeRecord> = {}): NodeRecord => ({
  id: nodeId(id),
  name: `node-${id}`,
  address: "10.0.0.1:7072",
  certificate: "0a1b",
  joinedAt: now,
  isCordoned: false,
  seenAt: now,
  ...over,
});

export const aToken = (id: string, over: Partial<JoinToken> = {}): JoinToken => ({
  id,
  hash: `hash of ${id}`,
  createdAt: now,
  expiresAt: later(3_600_000),
  ...over,
});

export const aSandbox = (id: string, over: Partial<OwnedSandbox> = {}): OwnedSandbox => ({
  id,
  team: teamId("t1"),
  node: nodeId("n1"),
  template: "base",
  state: { status: "running" },
  startedAt: now,
  endAt: later(300_000),
  timeoutMs: 300_000,
  onTimeout: { kind: "kill" },
  metadata: {},
  allowInternetAccess: true,
  cpus: 2,
  memoryBytes: 512 * 2 ** 20,
  diskBytes: 2 ** 30,
  ...over,
});

export const aTemplate = (id: string, over: Partial<CatalogueTemplate> = {}): CatalogueTemplate => ({
  kind: "template",
  id,
  name: `name-${id}`,
  aliases: [],
  createdAt: now,
  updatedAt: later(1),
  ...over,
});

export const aSnapshot = (id: string, over: Partial<CatalogueSnapshot> = {}): CatalogueSnapshot => ({
  kind: "snapshot",
  id,
  team: teamId("t1"),
  node: nodeId("n1"),
  checkpoint: `checkpoint of ${id}`,
  sandbox: "s1",
  createdAt: now,
  cpus: 0.5,
  memoryBytes: 2 ** 40,
  diskBytes: 7,
  ...over,
});

/** Teams t1 and t2, nodes n1 and n2. */
export async function furnish({ teams, nodes }: RegistryStore): Promise<void> {
  await Promise.all([
    teams.insert(aTeam("t1")),
    teams.insert(aTeam("t2")),
    nodes.insert(aNode("n1")),
    nodes.insert(aNode("n2")),
  ]);
}

export const aQuery = (over: Partial<SandboxQuery> = {}): SandboxQuery => ({
  team: teamId("t1"),
  states: [],
  metadata: {},
  order: "newest",
  limit: 1000,
  ...over,
});

/** An error of this code. */
export const failing = (code: string, message?: RegExp) => ({
  code,
  message: expectMessage(message),
});

function expectMessage(message: RegExp | undefined): unknown {
  return { asymmetricMatch: (text: unknown) => typeof text === "string" && (message ?? /./).test(text) };
}
