/** The page as browsers and programs get it, and what it makes of names that look like markup. */
import { type FastifyInstance, fastify } from "fastify";
import { afterAll, beforeAll, expect, it } from "vitest";
import { servePage } from "./page.js";

const welcome = { name: "ramet registry", api: { host: "127.0.0.1", port: 7073, tls: false } } as const;
let app: FastifyInstance;
beforeAll(async () => {
  app = fastify();
  await servePage(app, welcome);
});
afterAll(() => app.close());

const get = (url: string, accept: string) => app.inject({ url, headers: { accept } });

it("is a page for browsers, with nothing from elsewhere and nothing inline", async () => {
  const page = await get("/", "text/html,application/xhtml+xml,*/*;q=0.8");
  expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(page.headers["content-security-policy"]).toMatch(
    /^default-src 'none'; script-src 'self'; style-src 'self'/,
  );
  expect(page.headers["content-security-policy"]).not.toMatch(/unsafe/);
  expect(page.body).not.toMatch(/<script(?! type="module" src="page.js"><\/script>)|<style|style=|\son\w+=/);
  expect(page.body).not.toMatch(/https?:/);
  for (const file of ["page.js", "page.css"]) expect((await get(`/${file}`, "*/*")).statusCode).toBe(200);
});

it.each(["*/*", "application/json", ""])("tells programs (%j) where the nodes' API is", async (accept) => {
  const answer = await get("/", accept);
  expect(answer.json()).toEqual(welcome);
  expect(answer.headers["vary"]).toBe("accept");
});

it("shows names as text, whatever they are", async () => {
  const { rows, fill, summary, sandboxRows } = await import(new URL("page/page.js", import.meta.url).href);
  const name = "<script>alert(1)</script>";
  const node = {
    ...{
      name,
      health: "ready",
      cordoned: true,
      seenAt: "then",
      id: "n1",
      sandboxes: { running: 2, paused: 1, lost: 0, making: 0 },
    },
    report: {
      ...{ load: 0.5, cpus: 2, memoryFreeBytes: 2 ** 30, memoryBytes: 2 ** 31 },
      ...{ diskFreeBytes: 2 ** 30, diskBytes: 2 ** 32, templates: [{ name, slotsReady: 3 }] },
    },
  };
  const shown = rows([node], [{ template: name, min: 1, max: 4, state: { why: name } }]);
  expect(shown).toEqual({
    nodes: [
      [name, "ready, cordoned", "2", "1", "0", "3", "0.5 of 2", "1.0 of 2.0 GiB", "1.0 of 4.0 GiB", "now"],
    ],
    slots: [[name, "3", "1", "1 to 4", name]],
  });
  expect(summary([node])).toBe("1 of 1 nodes ready. 2 sandboxes running, 1 paused, 0 lost; 3 warm slots.");
  const lastSeenAt = new Date(Date.now() - 60_000).toISOString();
  const lost = async () => [{ id: name, status: "lost", team: "t", lastSeenAt }];
  expect(await sandboxRows([node], lost)).toEqual([
    [name, expect.stringMatching(/^lost, last seen \d+ s ago$/), name, "t"],
  ]);
  const many = { ...node, sandboxes: { running: 201, paused: 0, lost: 0, making: 0 } };
  expect(await sandboxRows([many], lost)).toBeUndefined();
  // No more of a document than this: whatever made markup out of text would fail.
  const element = (tag: string) => ({
    ...{ tag, textContent: "", children: [] as unknown[] },
    append(child: unknown) {
      this.children.push(child);
    },
    replaceChildren(...children: unknown[]) {
      this.children = children;
    },
  });
  const table = element("table");
  fill({ createElement: element }, table, ["Node"], [[name]]);
  expect(table.children).toMatchObject([
    { tag: "tr", children: [{ tag: "th", textContent: "Node" }] },
    { tag: "tr", children: [{ tag: "td", textContent: name, children: [] }] },
  ]);
});
