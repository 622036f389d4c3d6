/** The built `ramet` command against a registry that serves by TLS with a certificate that nobody else has signed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openScope } from "../../src/lib/scope.js";
import { makeCertificate } from "../support/certificate.js";
import { freeAddress, type RegistryProcess, startRegistryProcess } from "../support/registry-process.js";

const command = fileURLToPath(new URL("../../dist/bin/ramet.js", import.meta.url));
const scope = openScope();
let directory: string;
let registry: RegistryProcess;
let certificate: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ramet-registry-tls-"));
  scope.defer(() => rm(directory, { recursive: true }));
  certificate = makeCertificate(directory).path;
  const [rest, nodes] = [await freeAddress(), await freeAddress()];
  const tls = { certificate, key: join(directory, "key.pem") };
  const dataDir = join(directory, "data");
  registry = scope.use(await startRegistryProcess({ dataDir, rest, nodes, tls }));
});
afterAll(() => scope[Symbol.asyncDispose]());

/** What gRPC's own variable names is another's: one command has one set of authorities. */
const ramet = (env: Record<string, string>, ...words: string[]) =>
  execa(
    process.execPath,
    [
      command,
      ...["--registry", registry.url, "--admin-key-file", join(directory, "data/admin.key")],
      ...words,
    ],
    {
      env: { GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: "/etc/ssl/certs/ca-certificates.crt", ...env },
      reject: false,
      timeout: 20_000,
    },
  );

it.each(["node ls", "ps"])("ramet %s trusts what Node is told to trust", async (words) => {
  const { exitCode, stderr } = await ramet({ NODE_EXTRA_CA_CERTS: certificate }, ...words.split(" "));
  expect([exitCode, stderr]).toEqual([0, ""]);
});

it("says why it cannot be trusted", async () => {
  const { exitCode, stderr } = await ramet({}, "ps");
  expect(exitCode).toBe(7);
  expect(stderr).toMatch(/cannot reach the registry at https:\/\/localhost:\d+: DEPTH_ZERO_SELF_SIGNED_CERT/);
  expect(stderr).toContain("NODE_EXTRA_CA_CERTS");
});
