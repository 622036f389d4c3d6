/** Where a node takes requests to its sandboxes: kept connections by TLS, each end known by its certificate. */
import { Agent } from "node:https";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connectionOptions, type TlsIdentity } from "../authority/credentials.js";
import { parseAddress } from "../lib/address.js";

export interface NodePort extends Disposable {
  readonly host: string;
  readonly port: number;
  readonly agent: Agent;
  /** For a connection that is not shared. */
  readonly tls: ConnectionOptions;
}

/** Disposing cuts what is under way. */
export function openNodePort(address: string, identity: TlsIdentity, peerUri: string): NodePort {
  const { host, port } = parseAddress("address of a node", address);
  const tls = connectionOptions(identity, peerUri);
  const agent = new Agent({ ...tls, keepAlive: true, maxCachedSessions: 0 });
  // Node asks for it where it connects by TCP, and not where by TLS: small requests would wait for acknowledgements.
  const connect = (agent as unknown as Connecting).createConnection.bind(agent);
  const createConnection: Connecting["createConnection"] = (...args) => connect(...args).setNoDelay(true);
  Object.assign(agent, { createConnection });
  return { host, port, agent, tls, [Symbol.dispose]: () => agent.destroy() };
}

/** Node's types leave it out. */
interface Connecting {
  readonly createConnection: (...args: readonly unknown[]) => TLSSocket;
}
