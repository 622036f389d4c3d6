import { readFileSync } from "node:fs";
import { z } from "zod";
import { shipped } from "../lib/shipped.js";

const packageFile = z.object({ version: z.string() });

export function clientVersion(): string {
  const text = readFileSync(shipped("../package.json"), "utf8");
  return packageFile.parse(JSON.parse(text)).version;
}
