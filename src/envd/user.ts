/** As whom a request is done: the user of its basic authentication. The password means nothing. */
import { invalid } from "./failure.js";

/** Undefined: the sandbox's own user. Whether there is such a user shows when it is used. */
export function userOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const [scheme = "", encoded = ""] = authorization.split(" ");
  // Other schemes are for servers in front.
  if (scheme.toLowerCase() !== "basic") return undefined;
  const [name = ""] = Buffer.from(encoded, "base64").toString().split(":");
  return checkUser(name);
}

/** Group and number are the guest's extras; clients of E2B name users. */
export function checkUser(name: string): string | undefined {
  if (name === "") return undefined;
  if (name.length > 256 || name.includes(":") || name.includes("\0"))
    throw invalid(`${JSON.stringify(name.slice(0, 80))} cannot be a user's name`);
  return name;
}
