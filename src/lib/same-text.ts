import { timingSafeEqual } from "node:crypto";

/** Whether two texts are the same, in a time that says nothing of where they differ; that of their lengths shows. */
export function isSameText(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)];
  return first.length === second.length && timingSafeEqual(first, second);
}
