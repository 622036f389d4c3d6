/** Where a node takes requests to its sandboxes: kept connections by TLS, each end known by its certificate. */
import { Agent } from "node:https";
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connectionOptions, type TlsIdentity } from "../authority/credentials.js";
import { parseAddress } from "../lib/address.js";

export interface NodePort extends Disposable {
  readonly host: string;
  readonly port: number;
  readonly agent: Agent;
  /** For a connection that is not shared. */
  readonly tls: ConnectionOptions;
  /** These connections, which are cut with the others. */
  readonly alone: Set<Duplex>;
  /** Of each request that has no answer yet: what gives it one in place of the node's. */
  readonly unanswered: Set<() => void>;
  /** Answers these where nothing leads to the node any more. One that is only slow takes connections, and may answer. */
  probe(): void;
}

/** Enough for a packet that is lost to be sent again. */
const probeMs = 2000;

/** Disposing cuts what is under way. */
export function openNodePort(address: string, identity: TlsIdentity, peerUri: string): NodePort {
  const { host, port } = parseAddress("address of a node", address);
  const tls = connectionOptions(identity, peerUri);
  const agent = new Agent({ ...tls, keepAlive: true, maxCachedSessions: 0 });
  // Node asks for it where it connects by TCP, and not where by TLS: small requests would wait for acknowledgements.
  const connect = (agent as unknown as Connecting).createConnection.bind(agent);
  const createConnection: Connecting["createConnection"] = (...args) => connect(...args).setNoDelay(true);
  Object.assign(agent, { createConnection });
  const unanswered: NodePort["unanswered"] = new Set();
  const alone: NodePort["alone"] = new Set();
  return {
    ...{ host, port, agent, tls, alone, unanswered },
    probe() {
      if (unanswered.size === 0) return;
      const socket = connectTcp({ host, port, timeout: probeMs }, () => socket.destroy());
      const giveUp = () => {
        socket.destroy();
        for (const answer of unanswered) answer();
      };
      socket.once("timeout", giveUp).once("error", giveUp);
    },
    [Symbol.dispose]() {
      agent.destroy();
      for (const connection of alone) connection.destroy();
    },
  };
}

/** Node's types leave it out. */
interface Connecting {
  readonly createConnection: (...args: readonly unknown[]) => TLSSocket;
}
