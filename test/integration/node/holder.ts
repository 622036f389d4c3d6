/** A program with much memory, what its bytes have to be, and how the host sees them. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Box } from "../../support/box.js";
import { ask, untilAnswers } from "./workloads/workload.js";

export const MiB = 2 ** 20;
export const heldBytes = 32 * MiB;
const pageBytes = 4096;
const port = 7100;
const program = readFileSync(join(import.meta.dirname, "programs/holder.py"), "utf8");

/** The same bytes as the program's, in the test. */
export interface Model {
  put(seed: string, at: number, bytes: number): void;
  /** Changes so many pages here and there. */
  scatter(seed: string, pages: number): void;
  drop(at: number, bytes: number): void;
  digest(): string;
  copy(): Model;
}

export function modelOf(content = pattern("first", heldBytes)): Model {
  return {
    put: (seed, at, bytes) => void pattern(seed, bytes).copy(content, at),
    scatter(seed, pages) {
      const picked = pattern(seed, 4 * pages);
      for (let at = 0; at < picked.length; at += 4) {
        const page = (picked.readUInt32LE(at) % (content.length / pageBytes)) * pageBytes;
        content.fill(picked.subarray(at, at + 4), page, page + pageBytes);
      }
    },
    drop: (at, bytes) => void content.fill(0, at, at + bytes),
    digest: () => createHash("sha256").update(content).digest("hex"),
    copy: () => modelOf(Buffer.from(content)),
  };
}

export const pattern = (seed: string, bytes: number): Buffer =>
  createHash("shake256", { outputLength: bytes }).update(seed).digest();

export interface Holder {
  /** Starts it in a sandbox, with memory as the model's is at first. Gives its pid there. */
  start(ref: string, bytes?: number): Promise<number>;
  /** A template in which it runs. */
  buildTemplate(name: string): Promise<void>;
  expectExact(ref: string, model: Model): Promise<void>;
  /** Writes in the sandbox and in the model. */
  put(ref: string, model: Model, seed: string, at: number, bytes: number): Promise<void>;
  scatter(ref: string, model: Model, seed: string, pages: number): Promise<void>;
  drop(ref: string, model: Model, at: number, bytes: number): Promise<void>;
  /** What the host counts of the process, in bytes. */
  usage(ref: string, pid: number): Promise<Usage>;
}

export interface Usage {
  /** Its own pages, not those of any file. */
  readonly anonymous: number;
  /** Its part of everything. */
  readonly share: number;
  readonly resident: number;
  /** Its mappings. */
  readonly mappings: number;
}

export function openHolder(box: Box): Holder {
  const expectExact = async (ref: string, model: Model) =>
    expect((await ask(box, ref, port)).exact, ref).toBe(model.digest());
  return {
    async start(ref, bytes = heldBytes) {
      const pid = await box.start(ref, ["python3", "-c", program, String(bytes)], { tag: "holder" });
      await untilAnswers(box, ref, port);
      return pid;
    },
    buildTemplate: (name) =>
      box.buildTemplate({
        name,
        startCommand: `exec python3 -c '${program.replaceAll("'", `'\\''`)}' ${heldBytes}`,
        readyCommand: `python3 -c 'import socket; socket.create_connection(("127.0.0.1", ${port})).send(b"look\\n")'`,
      }),
    expectExact,
    async put(ref, model, seed, at, bytes) {
      model.put(seed, at, bytes);
      expect((await ask(box, ref, port, `put ${seed} ${at} ${bytes}`)).exact, ref).toBe(model.digest());
    },
    async scatter(ref, model, seed, pages) {
      model.scatter(seed, pages);
      expect((await ask(box, ref, port, `scatter ${seed} ${pages}`)).exact, ref).toBe(model.digest());
    },
    async drop(ref, model, at, bytes) {
      model.drop(at, bytes);
      expect((await ask(box, ref, port, `drop ${at} ${bytes}`)).exact, ref).toBe(model.digest());
    },
    async usage(ref, pid) {
      const { state } = await box.node.sandboxes.get(ref);
      if (state.status !== "running") throw new Error(`${ref} is ${state.status}`);
      const proc = `/proc/${hostPidOf(state.pid, pid)}`;
      const text = readFileSync(`${proc}/smaps_rollup`, "utf8");
      const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]);
      const mappings = readFileSync(`${proc}/maps`, "utf8").split("\n").length - 1;
      return {
        ...{ anonymous: 1024 * kib("Anonymous"), share: 1024 * kib("Pss"), resident: 1024 * kib("Rss") },
        mappings,
      };
    },
  };
}

/** The pid that the host has for one in the sandbox with this guest. */
function hostPidOf(guestPid: number, pid: number): number {
  const found = readdirSync("/proc").find((name) => {
    if (!/^\d+$/.test(name)) return false;
    const lines = statusOf(name);
    return lines.get("PPid") === String(guestPid) && lines.get("NSpid")?.split("\t").at(-1) === String(pid);
  });
  if (found === undefined) throw new Error(`process ${pid} of the guest ${guestPid} is not there`);
  return Number(found);
}

function statusOf(pid: string): Map<string, string> {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, "utf8").split("\n");
    return new Map(lines.map((line) => line.split(":\t", 2) as [string, string]));
  } catch {
    // It has ended since.
    return new Map();
  }
}

export interface MemoryFile {
  readonly name: string;
  readonly path: string;
  readonly inode: number;
  readonly links: number;
  readonly bytes: number;
}

/** The largest first. */
function memoryFilesIn(directory: string): MemoryFile[] {
  const files = readdirSync(directory).map((name) => {
    const path = join(directory, name);
    const { ino: inode, nlink: links, size: bytes } = statSync(path);
    return { name, path, inode, links, bytes };
  });
  return files.sort((one, other) => other.bytes - one.bytes);
}

export const memoryOfSandbox = ({ test }: Box, id: string): MemoryFile[] =>
  memoryFilesIn(join(test.dataDir, "sandboxes", id, "guest/memory"));

export const memoryOfCheckpoint = ({ test }: Box, id: string): MemoryFile[] =>
  memoryFilesIn(join(test.dataDir, "checkpoints", id, "memory"));
