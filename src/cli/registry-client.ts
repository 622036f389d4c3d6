/** A registry's administration (docs/admin-api.md) as typed calls over HTTP, with its errors as our own. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { DomainError, errorCodes } from "../lib/errors.js";

/** Where a registry listens when nothing else is said. */
export const registryUrlDefault = "http://127.0.0.1:7070";
/** Where the registry of this machine keeps its admin key. */
export const adminKeyFileDefault = "/var/lib/ramet-registry/admin.key";

export interface RegistryClient {
  /** `path` is below /admin/v1; its parts are encoded by pathOf. The answer is parsed, and what is new in it dropped. */
  get<T>(path: string, answer: z.ZodType<T>): Promise<T>;
  send<T>(
    method: "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    body: object | undefined,
    answer: z.ZodType<T>,
  ): Promise<T>;
}

export interface RegistryOptions {
  readonly url: string;
  /** Absent: none is sent, as a registry in development mode wants it. */
  readonly adminKey: string | undefined;
  /** Bound of each call; 0: none. */
  readonly timeoutMs: number;
}

/** `pathOf("teams", name)` is `/teams/a%2Fb`. */
export function pathOf(...parts: readonly string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}

/** Refuses, before anything is sent, an address that is none and a key that would go in clear over a network. */
export function openRegistryClient(options: RegistryOptions, signal: AbortSignal): RegistryClient {
  const base = parseUrl(options.url);
  const { adminKey, timeoutMs } = options;
  if (adminKey !== undefined && base.protocol === "http:" && !isLoopback(base.hostname))
    throw new DomainError("failed_precondition", `the admin key would go to ${base.host} in clear`, {
      hint: "use https://, or run the command on the registry's machine",
    });

  async function call<T>(method: string, path: string, body: object | undefined, answer: z.ZodType<T>) {
    const bound = timeoutMs === 0 ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const response = await fetch(new URL(`/admin/v1${path}`, base), {
        method,
        redirect: "error",
        signal: bound,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(adminKey === undefined ? {} : { authorization: `Bearer ${adminKey}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return parseAnswer(base, response.status, await response.text(), answer);
    } catch (thrown) {
      signal.throwIfAborted();
      throw explain(thrown, base, timeoutMs);
    }
  }

  return {
    get: (path, answer) => call("GET", path, undefined, answer),
    send: call,
  };
}

export interface AskOptions {
  readonly timeoutMs: number;
}

/** What GET / says to programs; no key is sent. */
export async function askRegistry<T>(
  base: URL,
  answer: z.ZodType<T>,
  { timeoutMs }: AskOptions,
  signal: AbortSignal,
): Promise<T> {
  const bound = timeoutMs === 0 ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const headers = { accept: "application/json" };
    const response = await fetch(new URL("/", base), { headers, redirect: "error", signal: bound });
    return parseAnswer(base, response.status, await response.text(), answer);
  } catch (thrown) {
    signal.throwIfAborted();
    throw explain(thrown, base, timeoutMs);
  }
}

/** Throws `invalid_argument` for what is no address of a registry. */
export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "") return url;
  throw new DomainError("invalid_argument", `${JSON.stringify(text)} is not the address of a registry`, {
    hint: `for example ${registryUrlDefault}`,
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

const errorSchema = z.object({
  code: z.enum(errorCodes),
  message: z.string(),
  hint: z.string().optional(),
});

function parseAnswer<T>(base: URL, status: number, text: string, answer: z.ZodType<T>): T {
  const json = parseJson(text);
  if (status >= 200 && status < 300) {
    const parsed = answer.safeParse(status === 204 ? undefined : json);
    if (parsed.success) return parsed.data;
    throw new DomainError(
      "internal",
      `the answer of ${base.host} is not understood: ${z.prettifyError(parsed.error)}`,
    );
  }
  const said = errorSchema.safeParse(json);
  if (!said.success)
    throw new DomainError(
      status >= 500 ? "unavailable" : "failed_precondition",
      `${base.host} answered ${status}, and not as a registry does`,
      { hint: "is --registry the registry's own address?" },
    );
  const { code, message, hint } = said.data;
  throw new DomainError(code, message, hint === undefined ? {} : { hint });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function explain(thrown: unknown, base: URL, timeoutMs: number): unknown {
  if (thrown instanceof DomainError) return thrown;
  if (thrown instanceof Error && thrown.name === "TimeoutError")
    return new DomainError("deadline_exceeded", `the registry did not answer within ${timeoutMs / 1000} s`, {
      cause: thrown,
      hint: "give it longer with --timeout; 0 means no limit",
    });
  const { cause } = thrown as { readonly cause?: NodeJS.ErrnoException };
  const why = cause?.code ?? cause?.message ?? String(thrown);
  return new DomainError("unavailable", `cannot reach the registry at ${base.origin}: ${why}`, {
    cause: thrown,
    hint: /CERT|UNABLE_TO_(GET|VERIFY)/.test(why)
      ? "name a file with the authority of its certificate in NODE_EXTRA_CA_CERTS"
      : "start it with `rametd registry`, or name its address with --registry",
  });
}

export interface AdminKeySources {
  /** Of RAMET_ADMIN_KEY. */
  readonly given: string | undefined;
  /** Of --admin-key-file. */
  readonly file: string | undefined;
}

/** The file that is named, else the key that is given, else the file of this machine's registry, if it may be read. */
export function findAdminKey({ given, file }: AdminKeySources): string | undefined {
  if (file !== undefined) return readKey(file);
  if (given !== undefined && given !== "") return given.trim();
  try {
    return readKey(adminKeyFileDefault);
  } catch {
    return undefined;
  }
}

function readKey(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("invalid_argument", `cannot read the admin key: ${why}`, { cause });
  }
}
