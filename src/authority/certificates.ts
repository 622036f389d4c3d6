/**
 * Making certificates and requests. The library takes a while to load, so that this file is imported only where one is
 * made (`await import`); checking them is for TLS.
 */
import "reflect-metadata";
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { DomainError } from "../lib/errors.js";
import { nodeIdOf } from "./identity.js";
import { importKey, signing } from "./keys.js";

const dayMs = 86_400_000;
/** Clocks of nodes may be behind the registry's by this much. */
const skewMs = dayMs;
const authorityDays = 20 * 365;
const leafDays = 10 * 365;
/** Far more than a request for one key needs. */
const requestBytesMax = 4096;

const authorityName = "CN=Ramet authority";

function validity(now: Date, days: number) {
  return {
    notBefore: new Date(now.getTime() - skewMs),
    notAfter: new Date(now.getTime() + days * dayMs),
  };
}

/** A positive number of 128 bits, lower-case hexadecimal. */
export function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

/** Self-signed. PEM. */
export async function makeAuthorityCertificate(keyPem: string, now: Date): Promise<string> {
  const keys = await importKey(keyPem);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: authorityName,
    serialNumber: newSerial(),
    keys,
    signingAlgorithm: signing,
    ...validity(now, authorityDays),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

export interface Subject {
  readonly uri: string;
  /** Where it answers. */
  readonly hosts: readonly string[];
  readonly serial: string;
}

export interface Issuer {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** A certificate for TLS, as server and as client. PEM. */
export async function signCertificate(
  { keyPem, certificatePem }: Issuer,
  publicKey: Uint8Array,
  { uri, hosts, serial }: Subject,
  now: Date,
): Promise<string> {
  const issuer = new X509Certificate(certificatePem);
  const names = hosts.map((host) => ({
    type: isIP(host) > 0 ? ("ip" as const) : ("dns" as const),
    value: host,
  }));
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${uri}`,
    issuer: issuer.subject,
    serialNumber: serial,
    publicKey,
    signingKey: (await importKey(keyPem)).privateKey,
    signingAlgorithm: signing,
    ...validity(now, leafDays),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: "url", value: uri }, ...names]),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** PKCS #10, DER. It has no names: the registry says what the certificate says. */
export async function makeRequest(keyPem: string): Promise<Buffer> {
  const keys = await importKey(keyPem);
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: signing });
  return Buffer.from(request.rawData);
}

export interface CheckedRequest {
  readonly publicKey: Buffer;
  /** Of the node that has this key. */
  readonly node: string;
}

/** Whoever made it has the key. Throws `invalid_argument`. */
export async function checkRequest(der: Uint8Array): Promise<CheckedRequest> {
  const bad = (why: string, cause?: unknown) =>
    new DomainError("invalid_argument", `that is no certificate request to sign: ${why}`, { cause });
  if (der.length === 0 || der.length > requestBytesMax)
    throw bad(`${der.length} bytes, where 1 to ${requestBytesMax} are taken`);
  let request: Pkcs10CertificateRequest;
  let isProven: boolean;
  try {
    request = new Pkcs10CertificateRequest(Uint8Array.from(der).buffer);
    isProven = await request.verify();
  } catch (cause) {
    throw bad("it cannot be read", cause);
  }
  const { algorithm, rawData } = request.publicKey;
  if (algorithm.name !== "ECDSA" || !("namedCurve" in algorithm) || algorithm.namedCurve !== "P-256")
    throw bad("its key is not one of P-256");
  if (!isProven) throw bad("its signature is not its key's");
  const publicKey = Buffer.from(rawData);
  return { publicKey, node: nodeIdOf(publicKey) };
}
