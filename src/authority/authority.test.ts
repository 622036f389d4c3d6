import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Authority, openAuthority } from "./authority.js";
import { makeRequest } from "./certificates.js";
import { identityOf, nodeOf } from "./identity.js";
import { newJoinToken, parseJoinToken, secretHash } from "./join-token.js";
import { newKey } from "./keys.js";

const now = () => new Date("2026-11-27T12:00:00Z");
let dir: string;
let authority: Authority;
beforeEach(async () => {
  dir = join(mkdtempSync(join(tmpdir(), "ramet-authority-")), "authority");
  authority = await openAuthority(dir, now);
});
afterEach(() => rmSync(join(dir, ".."), { recursive: true }));

describe("the authority", () => {
  it("is made once, and is root's alone", async () => {
    const names = ["authority.key", "authority.pem", "registry.key", "registry.pem"];
    expect(readdirSync(dir).sort()).toEqual(names);
    for (const name of names) expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    const { certificate, digest, registry } = await openAuthority(dir, now);
    expect({ certificate, digest, registry }).toEqual({
      certificate: authority.certificate,
      digest: authority.digest,
      registry: authority.registry,
    });
  });

  it("signs a certificate for itself and one for the registry that it verifies, valid yesterday already", () => {
    const own = new X509Certificate(authority.certificate);
    const registry = new X509Certificate(authority.registry.certificate);
    expect(own.ca && own.verify(own.publicKey)).toBe(true);
    expect(registry.ca).toBe(false);
    expect(registry.verify(own.publicKey) && registry.checkIssued(own)).toBe(true);
    expect(identityOf(authority.registry.certificate)?.uri).toBe("ramet:registry");
    for (const certificate of [own, registry]) {
      expect(Date.parse(certificate.validFrom)).toBe(now().getTime() - 86_400_000);
      expect(Date.parse(certificate.validTo)).toBeGreaterThan(Date.parse("2036-01-01"));
    }
  });

  it("makes the registry's certificate anew when it is old, another's or damaged, under the same authority", async () => {
    const path = join(dir, "registry.pem");
    const later = () => new Date("2036-06-01T00:00:00Z");
    const renewed = await openAuthority(dir, later);
    expect(renewed.certificate).toBe(authority.certificate);
    expect(renewed.registry.certificate).not.toBe(authority.registry.certificate);
    for (const wrong of ["x", authority.certificate]) {
      writeFileSync(path, wrong);
      await openAuthority(dir, now);
      expect(identityOf(readFileSync(path))?.uri).toBe("ramet:registry");
    }
  });

  it("does not make another in place of one whose key is lost", async () => {
    rmSync(join(dir, "authority.key"));
    await expect(openAuthority(dir, now)).rejects.toMatchObject({ code: "failed_precondition" });
    // Of another: what it signs would be refused by everybody.
    writeFileSync(join(dir, "authority.key"), authority.registry.key);
    await expect(openAuthority(dir, now)).rejects.toMatchObject({
      ...{ code: "failed_precondition", message: expect.stringMatching(/do not belong together/) },
    });
    writeFileSync(join(dir, "authority.pem"), "x");
    await expect(openAuthority(dir, now)).rejects.toThrow(/authority.pem is no certificate/);
  });

  it.each([
    ["a name", "node1.example", "DNS:node1.example"],
    ["an IPv4 address", "10.0.0.5", "IP Address:10.0.0.5"],
    ["an IPv6 address", "fd00::5", "IP Address:FD00:0:0:0:0:0:0:5"],
  ])("signs a node's certificate with %s", async (_name, host, name) => {
    const request = await makeRequest(await newKey());
    const { node } = await authority.identify(request);
    const { certificate, serial } = await authority.signNode(request, { host });
    const parsed = new X509Certificate(certificate);
    expect(parsed.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(parsed.subjectAltName).toBe(`URI:ramet:node:${node}, ${name}`);
    expect(identityOf(certificate)).toEqual({ uri: `ramet:node:${node}`, serial });
    expect(nodeOf({ uri: `ramet:node:${node}`, serial })).toBe(node);
  });

  it("gives the same key the same node, and on demand the same serial number", async () => {
    const key = await newKey();
    const [first, second] = [await makeRequest(key), await makeRequest(key)];
    expect(await authority.identify(first)).toEqual(await authority.identify(second));
    const { serial } = await authority.signNode(first, { host: "a" });
    expect((await authority.signNode(second, { host: "b", serial })).serial).toBe(serial);
    expect((await authority.signNode(second, { host: "b" })).serial).not.toBe(serial);
  });

  it("refuses requests that are none, too large, or not proven by their key", async () => {
    const request = await makeRequest(await newKey());
    const forged = Buffer.from(request);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    for (const bad of [Buffer.alloc(0), Buffer.from("x"), Buffer.alloc(5000), request.subarray(5), forged])
      await expect(authority.identify(bad)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("identities", () => {
  it("are of no stranger's certificate", () => {
    expect(identityOf(authority.certificate)).toBeUndefined();
    expect(nodeOf({ uri: "ramet:registry", serial: "1" })).toBeUndefined();
  });
});

describe("join tokens", () => {
  it("carry the authority's digest and a secret", () => {
    const { token, secret } = newJoinToken(authority.digest);
    expect(parseJoinToken(`${token}\n`)).toEqual({ authorityDigest: authority.digest, secret });
    expect(secretHash(secret)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each(["", "rmt_", `rmt_${"0".repeat(32)}_${"0".repeat(39)}`, `e2b_${"0".repeat(40)}`])(
    "are not %j",
    (text) => {
      expect(() => parseJoinToken(text)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
      if (text !== "") expect(() => parseJoinToken(text)).not.toThrow(text);
    },
  );
});
