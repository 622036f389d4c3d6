/**
 * The ways to call nodes. One that reports and cannot be called, as a firewall lets it, would be given work that hangs:
 * whether its connection stands is looked at all the time, and it is unreachable while that does not.
 */
import type { TlsIdentity } from "../authority/credentials.js";
import type { Logger } from "../lib/log.js";
import { type Line, type Member, type OpenLocalApi, openLine, unreachableAfterMs } from "./member.js";

export interface DialOptions {
  readonly tls: TlsIdentity;
  readonly localApi?: OpenLocalApi;
  readonly log: Pick<Logger, "info" | "warn">;
}

export interface Dial {
  lineOf(member: Member): Line;
  /** Whoever waits for an answer is told that there will be none; the next call connects anew. */
  hangUp(member: Member): void;
  /** Looks at the connection of one whose reports come. True: it is deaf from now on, or is not any more. */
  look(member: Member, at: number): boolean;
}

/** A connection that does not come about is given up and tried anew: its system would ask ever more rarely. */
const redialMs = 10_000;

export function openDial({ tls, localApi, log }: DialOptions): Dial {
  function lineOf(it: Member): Line {
    const isLocal = it.record.certificate === "" && localApi !== undefined;
    it.line ??= openLine(it, isLocal ? { kind: "local", open: localApi } : { kind: "remote", tls });
    return it.line;
  }

  function hangUp(it: Member): void {
    it.line?.[Symbol.dispose]();
    delete it.line;
  }

  function change(it: Member, isDeaf: boolean): boolean {
    if (it.isDeaf === isDeaf) return false;
    it.isDeaf = isDeaf;
    const { id, name, address } = it.record;
    if (isDeaf)
      log.warn({ node: id, name, address }, "the node reports, and cannot be reached at its address");
    else log.info({ node: id, name, address }, "the node can be reached at its address again");
    return true;
  }

  return {
    lineOf,
    hangUp,
    look(it, at) {
      if (lineOf(it).isOpen()) {
        delete it.closedSince;
        return change(it, false);
      }
      it.closedSince ??= at;
      if (at - it.closedSince <= (it.isDeaf ? redialMs : unreachableAfterMs)) return false;
      hangUp(it);
      it.closedSince = at;
      return change(it, true);
    },
  };
}
