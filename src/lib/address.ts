/** `host:port` of a TCP listener; an IPv6 host stands in brackets. */
import { isIP } from "node:net";
import { DomainError } from "./errors.js";
import { quote } from "./ids.js";

export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const namePattern =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;

/** Undefined for what is none. */
export function readAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const [, v6, other, digits] = match ?? [];
  const host = v6 ?? other ?? "";
  const port = Number(digits);
  if (match === null || port > 65_535) return undefined;
  const isHost = v6 === undefined ? isIP(host) === 4 || isName(host) : isIP(host) === 6;
  return isHost ? { host, port } : undefined;
}

// Four numbers that are no IPv4 address are no name either.
const isName = (host: string) => namePattern.test(host) && !/^[\d.]+$/.test(host);

/** `what` is the noun for the message. Throws `invalid_argument`. */
export function parseAddress(what: string, text: string): Address {
  const address = readAddress(text);
  if (address !== undefined) return address;
  throw new DomainError("invalid_argument", `${quote(text)} cannot be the ${what}`, {
    hint: "an address is HOST:PORT, e.g. node1.example:7072, 10.0.0.5:7072 or [fd00::5]:7072",
  });
}

export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine reaches it. A name but `localhost` may lead anywhere. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Whether it stands for all addresses of the machine, and so cannot be called. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}
