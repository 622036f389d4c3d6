/**
 * The registry's own certificate authority: made at the first start, kept in one directory that is root's alone. What it
 * signs names the registry (`ramet:registry`) or a node (`ramet:node:<id>`).
 */
import { X509Certificate } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../lib/atomic-file.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import type { TlsIdentity } from "./credentials.js";
import { identityOf, nodeUri, registryUri } from "./identity.js";
import { authorityDigest } from "./join-token.js";
import { newKey, publicKeyDer } from "./keys.js";

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** What join tokens name it by. */
  readonly digest: string;
  /** The registry's own, for what it serves and whom it calls. */
  readonly registry: TlsIdentity;
  /** Who a request comes from. `invalid_argument`: it is none, or not signed by its own key. */
  identify(request: Uint8Array): Promise<{ readonly node: string }>;
  /** `serial`: of the certificate that the same key has had before. Gives the certificate (PEM) and its serial. */
  signNode(
    request: Uint8Array,
    options: { readonly host: string; readonly serial?: string },
  ): Promise<{ readonly certificate: string; readonly serial: string }>;
}

/** The registry's certificate is made anew when less than this is left of it. */
const renewMs = 365 * 86_400_000;

export async function openAuthority(directory: string, now: Clock): Promise<Authority> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const at = (name: string) => join(directory, name);
  const keyPem = await readOrMake(at("authority.key"), async () => {
    if ((await read(at("authority.pem"))) !== undefined)
      throw new DomainError(
        "failed_precondition",
        `${directory} has the authority's certificate, not its key`,
        {
          hint: "restore authority.key from a backup; without it, every node has to join anew: move the directory away",
        },
      );
    return newKey();
  });
  const certificatePem = await readOrMake(at("authority.pem"), async () =>
    (await import("./certificates.js")).makeAuthorityCertificate(keyPem, now()),
  );
  const certificate = parse(certificatePem, at("authority.pem"));
  if (!isKeyOf(certificate, keyPem))
    throw new DomainError(
      "failed_precondition",
      `authority.key and authority.pem in ${directory} do not belong together: nobody would trust what is signed`,
      {
        hint: "restore both from one backup; without them, every node has to join anew: move the directory away",
      },
    );
  const issuer = { keyPem, certificatePem };
  const registryKey = await readOrMake(at("registry.key"), newKey);
  const registry = await registryCertificate(at("registry.pem"), { issuer, keyPem: registryKey, now });
  return {
    certificate: certificatePem,
    digest: authorityDigest(certificate.raw),
    registry: { key: registryKey, certificate: registry, authority: certificatePem },
    identify: async (request) => (await import("./certificates.js")).checkRequest(request),
    async signNode(request, { host, serial }) {
      const { checkRequest, newSerial, signCertificate } = await import("./certificates.js");
      const { node, publicKey } = await checkRequest(request);
      const subject = { uri: nodeUri(node), hosts: [host], serial: serial ?? newSerial() };
      return {
        certificate: await signCertificate(issuer, publicKey, subject, now()),
        serial: subject.serial,
      };
    },
  };
}

interface RegistryKey {
  readonly issuer: { readonly keyPem: string; readonly certificatePem: string };
  readonly keyPem: string;
  readonly now: Clock;
}

/** Nodes know the registry by its name alone, so that it needs no host's. */
async function registryCertificate(path: string, { issuer, keyPem, now }: RegistryKey): Promise<string> {
  const found = await read(path);
  if (found !== undefined && isFit(found, { issuer, keyPem, now })) return found;
  const { newSerial, signCertificate } = await import("./certificates.js");
  const subject = { uri: registryUri, hosts: [], serial: newSerial() };
  const made = await signCertificate(issuer, publicKeyDer(keyPem), subject, now());
  await writeFileAtomic(path, made);
  return made;
}

function isFit(pem: string, { issuer, keyPem, now }: RegistryKey): boolean {
  try {
    const certificate = new X509Certificate(pem);
    return (
      isKeyOf(certificate, keyPem) &&
      identityOf(pem)?.uri === registryUri &&
      certificate.verify(new X509Certificate(issuer.certificatePem).publicKey) &&
      Date.parse(certificate.validTo) - now().getTime() > renewMs
    );
  } catch {
    return false;
  }
}

function isKeyOf(certificate: X509Certificate, keyPem: string): boolean {
  return certificate.publicKey.export({ type: "spki", format: "der" }).equals(publicKeyDer(keyPem));
}

function parse(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new DomainError("internal", `${path} is no certificate`, {
      cause,
      hint: "restore it from a backup",
    });
  }
}

async function readOrMake(path: string, make: () => Promise<string>): Promise<string> {
  const found = await read(path);
  if (found !== undefined) return found;
  const made = await make();
  await writeFileAtomic(path, made);
  return made;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}
