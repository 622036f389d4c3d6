/** GET /: a page for people, and for programs where the rest of the registry is. The page asks the administration. */

import { readFile } from "node:fs/promises";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { shipped } from "../lib/shipped.js";

/** What programs get: `ramet --registry` finds the nodes' API by it. */
export const welcomeSchema = z.object({
  name: z.literal("ramet registry"),
  /** gRPC: the nodes' API over all nodes. Absent: it is turned off. */
  api: z.object({ host: z.string(), port: z.int(), tls: z.boolean() }).optional(),
});
export type Welcome = z.output<typeof welcomeSchema>;

const files = {
  "/": { name: "page.html", type: "text/html; charset=utf-8" },
  "/page.js": { name: "page.js", type: "text/javascript; charset=utf-8" },
  "/page.css": { name: "page.css", type: "text/css; charset=utf-8" },
} as const;

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
} as const;

export async function servePage(app: FastifyInstance, welcome: Welcome): Promise<void> {
  for (const [path, { name, type }] of Object.entries(files)) {
    const text = await readFile(shipped(`admin/page/${name}`), "utf8");
    app.get(path, async (request, reply) => {
      if (path === "/" && !wantsHtml(request.headers.accept))
        return reply.header("vary", "accept").send(welcome);
      return reply.headers(headers).header("vary", "accept").type(type).send(text);
    });
  }
}

/** As browsers ask for what is in their address bar; curl and fetch say that anything will do. */
const wantsHtml = (accept: string | undefined) => accept?.toLowerCase().includes("text/html") === true;
