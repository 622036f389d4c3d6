/** Nodes of a registry that serves a domain by TLS, and E2B's client as npm has it: it takes HTTP/2. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, openCluster } from "../support/cluster.js";

const checkout = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const domain = "sbx.test";
let cluster: Cluster;
let env: Record<string, string>;

beforeAll(async () => {
  cluster = await openCluster(2, domain);
  env = { NODE_EXTRA_CA_CERTS: join(cluster.root, "tls/certificate.pem") };
  await ramet("team", "create", "main");
  const key = await ramet("key", "create", "main");
  Object.assign(env, { E2B_DOMAIN: `${domain}:${new URL(cluster.url).port}`, E2B_API_KEY: key.trim() });
}, 900_000);
afterAll(() => cluster?.[Symbol.asyncDispose](), 300_000);

/** Trusts the certificate from its start on, as Node has it, and so runs as a process. */
async function run(...words: readonly string[]): Promise<string> {
  return (await execa(process.execPath, [...words], { env, cwd: checkout("."), timeout: 60_000 })).stdout;
}

const ramet = (...words: readonly string[]) =>
  run(
    checkout("dist/bin/ramet.js"),
    ...["--registry", cluster.url, "--admin-key-file", join(cluster.root, "registry/admin.key"), ...words],
  );

type Said = Record<string, unknown> & { readonly ids: readonly string[] };

/** Prints one line of JSON. The sandboxes end with the cluster. */
async function program(body: string): Promise<Said> {
  const text = `
    import http2 from "node:http2";
    import { Sandbox } from "e2b";
    const connected = [], { connect } = http2;
    http2.connect = (url, ...rest) => { connected.push(new URL(url).host); return connect(url, ...rest); };
    const said = {};
    const made = [];
    ${body}
    console.log(JSON.stringify(said));
    process.exit();`;
  const names = ["--import", checkout("scripts/lib/e2b-resolve.mjs")];
  return JSON.parse(await run(...names, "--input-type=module", "-e", text));
}

it("serves commands, files, addresses and forks on every node, over HTTP/2", async () => {
  const said = await program(`
    for (let n = 0; n < 6; n++) made.push(await Sandbox.create("python"));
    said.echoed = await Promise.all(made.map(async (each) =>
      (await each.commands.run("echo $E2B_SANDBOX_ID")).stdout.trim() === each.sandboxId));
    said.read = await Promise.all(made.map(async (each) => {
      await each.files.write("/tmp/file", each.sandboxId);
      const address = await each.downloadUrl("/tmp/file", { useSignatureExpiration: 60_000 });
      return (await (await fetch(address)).text()) === each.sandboxId;
    }));
    await made[5].commands.run("python3 -m http.server 8000", { background: true });
    for (said.status = 0; said.status !== 200; )
      said.status = (await fetch("https://" + made[5].getHost(8000))).status;
    const clones = await made[0].fork({ count: 2 });
    made.push(...clones);
    said.forked = await Promise.all(clones.map(async (each) =>
      (await each.files.read("/tmp/file")) === made[0].sandboxId));
    said.hosts = new Set(connected).size;
    said.ids = made.map(({ sandboxId }) => sandboxId);`);
  const all = (count: number) => Array.from({ length: count }, () => true);
  // The registry's API, and a host for each of the sandboxes.
  expect(said).toMatchObject({ echoed: all(6), read: all(6), status: 200, forked: all(2), hosts: 9 });
  const [one, two] = [await cluster.onNode(1), await cluster.onNode(2)];
  expect([...one, ...two].sort()).toEqual([...said.ids].sort());
  expect([one, two]).not.toContainEqual([]);
});
