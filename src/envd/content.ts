/** What a client wants to have of a file, and how: `Range`, its conditions and `Accept-Encoding` (RFC 9110). Pure. */

export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** Undefined: all of it, as for what is no single range. */
export function parseRange(header: string | undefined, size: number): Range | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null) return undefined;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return undefined;
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "unsatisfiable" : { offset: size - length, length };
  }
  const offset = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < offset) return undefined;
  return offset >= size ? "unsatisfiable" : { offset, length: last - offset + 1 };
}

/** As `Last-Modified` says it: to the second. */
const toSecond = (time: Date): number => Math.floor(time.getTime() / 1000) * 1000;

/** `If-Modified-Since` (RFC 9110, 13.1.3): whether the client has what there is. */
export function isUnchanged(since: string | undefined, modifiedAt: Date): boolean {
  return since !== undefined && toSecond(modifiedAt) <= Date.parse(since);
}

/** `If-Range` (RFC 9110, 13.1.5): whether a range is of the same contents as what the client has. There are no tags. */
export function isOfSame(ifRange: string | undefined, modifiedAt: Date): boolean {
  return ifRange === undefined || toSecond(modifiedAt) === Date.parse(ifRange);
}

export interface Codings {
  readonly identity: boolean;
  readonly gzip: boolean;
  /** It asks for gzip, and not for whatever there is: packing costs more than it saves near by. */
  readonly prefersGzip: boolean;
}

export function acceptable(header: string | undefined): Codings {
  if (header === undefined) return { identity: true, gzip: false, prefersGzip: false };
  const weights = new Map<string, number>();
  for (const part of header.split(",")) {
    const [coding = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    if (coding !== "") weights.set(coding, weight === undefined ? 1 : Number(weight) || 0);
  }
  const anything = weights.get("*");
  const gzip = (weights.get("gzip") ?? anything ?? 0) > 0;
  const identity = (weights.get("identity") ?? anything ?? 1) > 0;
  return { identity, gzip, prefersGzip: gzip && [...weights.keys()].every((coding) => coding === "gzip") };
}
