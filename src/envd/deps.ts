/** What envd is made of: the part of a node that it uses, and what it is told of each request. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../lib/log.js";
import type { Files } from "../node/files.js";
import type { Node, Sandboxes } from "../node/node.js";
import type { Processes } from "../node/processes.js";

export interface EnvdNode {
  readonly sandboxes: Pick<Sandboxes, "get" | "stats">;
  readonly processes: Processes;
  readonly files: Files;
  readonly info: Node["info"];
}

export interface EnvdDeps {
  readonly node: EnvdNode;
  readonly log: Pick<Logger, "warn">;
}

/** Whose envd a request is for. Whoever routes it has made sure that the sandbox may be reached. */
export interface EnvdTarget {
  readonly sandbox: string;
  /** Whoever asks has to know it. Absent: everybody may ask. */
  readonly accessToken?: string;
}

/** One request, and where its answer goes. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly target: EnvdTarget;
}

/** What a call of the two services is told beside its message. */
export interface EnvdCall {
  readonly sandbox: string;
  /** Undefined: the sandbox's own. */
  readonly user: string | undefined;
  readonly keepaliveMs: number;
  /** Of the whole call; none without it. */
  readonly timeoutMs?: number;
  /**
   * Ends the connection without an end of the answer: clients then ask at once whether the sandbox is still there, so
   * what ends it is waited for, if not for long.
   */
  readonly cut: () => Promise<void>;
}
