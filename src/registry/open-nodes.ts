/** The nodes in memory: reports come in, health is judged by the clock, listeners are told in order. */
import type { TlsIdentity } from "../authority/credentials.js";
import type { NodeHealth, NodeId, NodeNews, NodeRecord } from "../fleet/node.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { type Dial, openDial } from "./dial.js";
import {
  healthOf,
  type Member,
  type OpenLocalApi,
  type ReportSession,
  unreachableAfterMs,
  viewOf,
} from "./member.js";
import type { Nodes } from "./nodes.js";
import { openTelling, type Telling } from "./telling.js";

export interface NodesOptions {
  readonly store: { readonly nodes: Pick<RegistryStore["nodes"], "list" | "update" | "delete"> };
  /** The registry's, to call nodes with. */
  readonly tls: TlsIdentity;
  readonly lostAfterMs: number;
  readonly now: Clock;
  readonly log: Logger;
  /** Of the agent of this process, if there is one: the node without an address. */
  readonly localApi?: OpenLocalApi;
}

export interface Hello {
  readonly instance: string;
  readonly version: string;
  readonly address: string;
  /** Where the stream comes from, for messages. */
  readonly peer: string;
}

export interface OpenNodes extends Nodes {
  /** A node that has just been recorded. */
  add(record: NodeRecord): void;
  /**
   * A stream of reports begins. `failed_precondition`: another agent reports as this node; it is told.
   * What the session is given afterwards counts until it is closed or replaced.
   */
  begin(id: NodeId, hello: Hello, session: Omit<ReportSession, "instance" | "version">): Reporting;
  /** Looks at the clock: who was silent for too long. It is called twice a second anyway. */
  judge(): void;
}

export interface Reporting extends Disposable {
  hear(news: NodeNews): void;
}

const judgeMs = 500;
const writeSeenMs = 60_000;

export async function openNodes(options: NodesOptions): Promise<OpenNodes> {
  const { store, now } = options;
  const roster = openRoster(options);
  const { members, tell } = roster;
  const add = (record: NodeRecord) => void members.set(record.id, newMember(record, now().getTime()));
  for (const record of await store.nodes.list()) add(record);
  const judge = openJudge(roster, options);
  const judging = setInterval(judge, judgeMs).unref();
  return {
    ...reading(roster),
    listen: (listener) => void tell.listeners.push(listener),
    async cordon(id, isCordoned) {
      const it = roster.member(id);
      await roster.write(it, { isCordoned });
      tell.changed(it);
      return viewOf(it);
    },
    async remove(id) {
      const it = roster.member(id);
      await store.nodes.delete(id);
      members.delete(id);
      it.session?.end(removed());
      it.line?.[Symbol.dispose]();
      tell.removed(it);
    },
    add,
    begin: openBegin(roster, options),
    judge,
    async [Symbol.asyncDispose]() {
      clearInterval(judging);
      for (const it of members.values()) {
        it.session?.end(new DomainError("unavailable", "the registry is stopping"));
        it.line?.[Symbol.dispose]();
      }
      await Promise.all([...members.values()].map(({ told }) => told));
    },
  };
}

/** The nodes, and the changes that several have in common. */
interface Roster extends Pick<Dial, "lineOf" | "hangUp"> {
  /** Looks whether a node that reports can be called. */
  look(it: Member, at: number): void;
  readonly members: Map<NodeId, Member>;
  readonly tell: Telling;
  member(id: NodeId): Member;
  become(it: Member, health: NodeHealth): void;
  write(it: Member, change: Parameters<NodesOptions["store"]["nodes"]["update"]>[1]): Promise<void>;
  writeSeen(it: Member): void;
}

function openRoster(options: NodesOptions): Roster {
  const { store, now, log } = options;
  const { lineOf, hangUp, look } = openDial(options);
  const members = new Map<NodeId, Member>();
  const tell = openTelling(log);
  const roster: Roster = {
    ...{ members, tell, lineOf, hangUp },
    look(it, at) {
      if (!look(it, at)) return;
      tell.health(it, healthOf(it));
      tell.changed(it);
      // What it said meanwhile could not be asked about.
      if (!it.isDeaf) it.session?.askInventory();
    },
    member(id) {
      const found = members.get(id);
      if (found === undefined) throw noNode(id);
      return found;
    },
    become(it, health) {
      if (it.health === health) return;
      it.health = health;
      const level = health === "ready" ? "info" : "warn";
      log[level]({ node: it.record.id, name: it.record.name }, `the node is ${health}`);
      // The system would send again for a quarter of an hour what it has sent where nothing leads.
      if (health === "unreachable") it.line?.probe();
      if (health === "lost") hangUp(it);
      tell.health(it, health);
    },
    async write(it, change) {
      it.record = await store.nodes.update(it.record.id, change);
    },
    writeSeen(it) {
      it.writtenAt = now().getTime();
      roster.write(it, { seenAt: new Date(it.heardAt) }).catch((err: unknown) => {
        if (members.has(it.record.id))
          log.warn({ err, node: it.record.id }, "cannot write when a node was seen");
      });
    },
  };
  return roster;
}

function openJudge(roster: Roster, { now, lostAfterMs }: NodesOptions): () => void {
  let judgedAt = now().getTime();

  function judgeSilence(it: Member, at: number): void {
    const health = healthAfter(at - it.heardAt, lostAfterMs) ?? it.health;
    if (it.health === health || it.health === "lost") return;
    if (it.health === "ready") roster.writeSeen(it);
    roster.become(it, health);
    roster.tell.changed(it);
  }

  return () => {
    const at = now().getTime();
    // When this process stood still, no node was silent: reports that wait to be read come first.
    const stoodStillMs = Math.max(0, at - judgedAt - unreachableAfterMs / 3);
    judgedAt = at;
    for (const it of roster.members.values()) {
      it.heardAt = Math.min(at, it.heardAt + stoodStillMs);
      if (it.closedSince !== undefined) it.closedSince = Math.min(at, it.closedSince + stoodStillMs);
      judgeSilence(it, at);
      if (it.health === "ready") roster.look(it, at);
      else delete it.closedSince;
    }
  };
}

/** Undefined while nothing is missed. */
function healthAfter(silentMs: number, lostAfterMs: number): NodeHealth | undefined {
  if (silentMs > lostAfterMs) return "lost";
  return silentMs > unreachableAfterMs ? "unreachable" : undefined;
}

function openBegin(roster: Roster, { now, log }: NodesOptions): OpenNodes["begin"] {
  const { tell } = roster;

  function moveTo(it: Member, address: string): void {
    log.info({ node: it.record.id, address }, "the node has another address");
    it.record = { ...it.record, address };
    roster.hangUp(it);
    roster
      .write(it, { address })
      .catch((err: unknown) => log.warn({ err, node: it.record.id }, "cannot write a node's new address"));
  }

  function hear(
    it: Member,
    { version, askInventory }: ReportSession,
    { load, stock, inventory }: NodeNews,
  ): void {
    it.heardAt = now().getTime();
    const { checkpoints, images } = stock ?? it.report ?? { checkpoints: [], images: [] };
    it.report = { version, ...load, checkpoints, images };
    roster.become(it, "ready");
    tell.changed(it);
    if (it.heardAt - it.writtenAt >= writeSeenMs) roster.writeSeen(it);
    if (inventory !== undefined) tell.inventory(it, { node: it.record.id, ...inventory });
    if (it.isBehind && it.waiting === 0) askInventory();
  }

  return (id, hello, session) => {
    const it = roster.member(id);
    refuseSecond(it, hello, log);
    it.session?.end(new DomainError("cancelled", "the same agent has begun another stream"));
    const own: ReportSession = { ...session, instance: hello.instance, version: hello.version };
    it.session = own;
    if (hello.address !== it.record.address) moveTo(it, hello.address);
    return {
      hear(news) {
        if (it.session === own && roster.members.get(id) === it) hear(it, own, news);
      },
      [Symbol.dispose]() {
        if (it.session === own) delete it.session;
      },
    };
  };
}

function reading({ members, member, lineOf }: Roster): Pick<Nodes, "list" | "get" | "find" | "api" | "port"> {
  return {
    list: () => [...members.values()].map(viewOf).sort(byName),
    get: (id) => viewOf(member(id)),
    find(ref) {
      const byId = members.get(ref as NodeId);
      const found = byId ?? [...members.values()].find(({ record }) => record.name === ref);
      if (found === undefined) throw noNode(ref);
      return viewOf(found);
    },
    api: (id) => lineOf(member(id)).api,
    port(id) {
      const port = lineOf(member(id)).port();
      if (port === undefined) throw new DomainError("internal", `node ${id} is in this process`);
      return port;
    },
  };
}

/** For one whose certificate is good and whose record is gone. */
export function removed(): DomainError {
  return new DomainError("unauthenticated", "this node was removed from the registry", {
    hint: "to have it back, move its membership directory away and join with a new token",
  });
}

function noNode(ref: string): DomainError {
  return new DomainError("not_found", `no node ${quote(ref)}`, { hint: "see `ramet node ls`" });
}

const byName = (a: { record: NodeRecord }, b: { record: NodeRecord }) =>
  a.record.name < b.record.name ? -1 : 1;

/** Silent until it reports; how long it was silent before this start, nobody knows. */
function newMember(record: NodeRecord, at: number): Member {
  return {
    record,
    health: "unreachable",
    heardAt: at,
    writtenAt: record.seenAt.getTime(),
    told: Promise.resolve(),
    waiting: 0,
    isBehind: false,
    isDeaf: false,
  };
}

/** An agent that comes back is the same instance, or finds the stream of the one before silent. */
function refuseSecond({ session, health, record }: Member, hello: Hello, log: Logger): void {
  if (session === undefined || session.instance === hello.instance || health !== "ready") return;
  log.error(
    { node: record.id, name: record.name, peer: hello.peer },
    "a second agent has a node's certificate",
  );
  session.tellImposter(hello.peer);
  throw new DomainError("failed_precondition", `another agent reports as node ${record.name}`, {
    hint: "two agents have copies of one data directory: give this one a directory of its own and let it join",
  });
}
