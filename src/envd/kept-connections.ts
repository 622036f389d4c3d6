/**
 * Connections to servers in sandboxes that stay open between requests, for a while. They end with the sandbox's processes,
 * and before a dump, as all that goes through its guest.
 */
import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";

export type Dial = (sandbox: string, port: number, signal: AbortSignal) => Promise<Duplex>;

export interface KeptConnections {
  /** Asked with the sandbox as the host. Connections that are missing are dialled. */
  readonly agent: Agent;
  /** Closes those that nobody uses now: a server that serves one connection at a time may stand still for them. */
  drop(sandbox: string, port: number): void;
}

/** Less than servers keep theirs, as a rule: 5 s with Node and uvicorn. */
const idleMs = 4_000;
/** Of one port. A guest takes 256 connections, commands and files included. */
const idleMax = 32;

export function keepConnections(dial: Dial): KeptConnections {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: idleMax, timeout: idleMs, scheduling: "lifo" });
  const connecting: Connecting = ({ host, port }, done) => {
    // Whoever leaves meanwhile leaves the connection to the next one.
    dial(String(host), Number(port), new AbortController().signal).then(
      (connection) => done(null, endingWhole(connection)),
      (thrown: Error) => done(thrown),
    );
    return undefined;
  };
  Object.assign(agent, { createConnection: connecting, getName: nameOf });
  return {
    agent,
    drop(sandbox, port) {
      for (const connection of agent.freeSockets[nameOf({ host: sandbox, port })] ?? []) connection.destroy();
    },
  };
}

/** One that its server has ended is of no use to anybody: what is sent on it is lost, and nobody says so. */
function endingWhole(connection: Duplex): Duplex {
  connection.allowHalfOpen = false;
  return connection;
}

type Connecting = (
  options: ClientRequestArgs & AgentOptions,
  done: (error: Error | null, connection?: Duplex) => void,
) => undefined;

const nameOf = ({ host, port }: ClientRequestArgs = {}): string => `${host}:${port}`;
