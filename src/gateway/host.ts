/** Which port of which sandbox a request is for. Pure. */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";

export interface Address {
  readonly sandbox: string;
  readonly port: number;
}

const label = /^(\d{1,5})-([a-z0-9]+)(?:-[a-z0-9]+)?$/;

/**
 * By the first label of the host, `<port>-<sandbox>`; older clients add `-<client>`. Else by the headers that E2B's
 * clients send beside every request, where the host is an address or is called `localhost` or `sandbox.…`.
 */
export function addressOf(headers: IncomingHttpHeaders): Address | undefined {
  const host = hostOf(headers);
  const [first = "", ...rest] = host.split(".");
  const match = rest.length > 0 ? label.exec(first) : null;
  if (match !== null) return checked(match[2], match[1]);
  if (!isDirect(host, first)) return undefined;
  const sandbox = single(headers["e2b-sandbox-id"]);
  const port = single(headers["e2b-sandbox-port"]);
  // Old clients add a client's id here too.
  return /^[a-z0-9]+(-[a-z0-9]+)?$/.test(sandbox) ? checked(sandbox.split("-")[0], port) : undefined;
}

function checked(sandbox = "", port = ""): Address | undefined {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  return number >= 1 && number <= 65_535 ? { sandbox, port: number } : undefined;
}

/** Without its port, in lower case. */
export function hostOf(headers: IncomingHttpHeaders): string {
  const host = single(headers[":authority" as "host"] ?? headers.host).toLowerCase();
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  return bracketed?.[1] ?? host.replace(/:\d*$/, "");
}

const isDirect = (host: string, first: string): boolean =>
  host === "localhost" || isIP(host) !== 0 || first === "sandbox";

const single = (value: string | readonly string[] | undefined): string => [value ?? ""].flat()[0] ?? "";
