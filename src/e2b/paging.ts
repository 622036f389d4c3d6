/** Paging tokens: where a page ended, opaque to clients. A token of another list or order is refused. */
import { isId } from "../lib/ids.js";
import { refused } from "./parse.js";

export type ListName = "sandboxes newest" | "sandboxes oldest" | "snapshots";

export interface Position {
  readonly at: Date;
  readonly id: string;
}

export function toToken(list: ListName, { at, id }: Position): string {
  return Buffer.from(`${list} ${at.getTime()} ${id}`).toString("base64url");
}

/** Undefined for none. Throws `invalid_argument`. */
export function fromToken(list: ListName, token: string | undefined): Position | undefined {
  if (token === undefined || token === "") return undefined;
  const text = Buffer.from(token, "base64url").toString();
  const [, of, time, id] = /^(.+) (\d{1,15}) ([a-z0-9]+)$/.exec(text) ?? [];
  if (of === list && id !== undefined && isId(id)) return { at: new Date(Number(time)), id };
  throw refused("nextToken: it is not from this list in this order");
}
