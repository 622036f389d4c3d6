/** Keys of the authority, the registry and the nodes: ECDSA over P-256, PKCS #8 in PEM. */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, webcrypto } from "node:crypto";
import { promisify } from "node:util";

const curve = { name: "ECDSA", namedCurve: "P-256" } as const;
export const signing = { name: "ECDSA", hash: "SHA-256" } as const;

export async function newKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** As WebCrypto wants it. */
export async function importKey(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = createPrivateKey(pem);
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey("pkcs8", der(privateKey, "pkcs8"), curve, true, ["sign"]),
    publicKey: await subtle.importKey("spki", publicKeyDer(pem), curve, true, ["verify"]),
  };
}

/** SubjectPublicKeyInfo. */
export function publicKeyDer(privatePem: string): Buffer {
  return der(createPublicKey(privatePem), "spki");
}

function der(key: KeyObject, type: "pkcs8" | "spki"): Buffer {
  return key.export({ type, format: "der" } as { type: "pkcs8"; format: "der" });
}
