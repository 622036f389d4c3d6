/** Which port of which sandbox a request is for, as a registry tells a node: in a header of the request. Pure. */

export interface PortTarget {
  readonly sandbox: string;
  /** 49983 is answered by the agent itself: E2B's envd. */
  readonly port: number;
  /** Whoever asks envd has to have it. Absent: everybody may. */
  readonly accessToken?: string;
  /** What a server in the sandbox sees as the host. Absent: what the client has sent. */
  readonly host?: string;
}

/** In lower case. It goes no further than to the node. */
export const targetHeader = "ramet-target";

export function encodeTarget({ sandbox, port, accessToken, host }: PortTarget): string {
  return Buffer.from(JSON.stringify({ sandbox, port, accessToken, host })).toString("base64url");
}

/** Undefined for what no registry sends. */
export function parseTarget(text: unknown): PortTarget | undefined {
  if (typeof text !== "string") return undefined;
  try {
    return checked(JSON.parse(Buffer.from(text, "base64url").toString()));
  } catch {
    return undefined;
  }
}

function checked(value: Readonly<Record<string, unknown>>): PortTarget | undefined {
  const { sandbox, port, accessToken, host } = value;
  if (typeof sandbox !== "string" || typeof port !== "number") return undefined;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return {
    ...{ sandbox, port },
    ...(typeof accessToken === "string" ? { accessToken } : {}),
    ...(typeof host === "string" ? { host } : {}),
  };
}
