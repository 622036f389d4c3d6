/** A node that does only what a test of the edges gives it; everything else fails the test by name. */
import type { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { Files } from "../../src/node/files.js";
import type { Checkpoints, Images, Node, Sandboxes, Templates } from "../../src/node/node.js";
import type { Ports } from "../../src/node/ports.js";
import type { Processes } from "../../src/node/processes.js";
import type { Sandbox, SandboxId } from "../../src/sandbox/sandbox.js";

export interface StubParts {
  readonly sandboxes?: Partial<Sandboxes>;
  readonly processes?: Partial<Processes>;
  readonly files?: Partial<Files>;
  readonly ports?: Partial<Ports>;
  readonly checkpoints?: Partial<Checkpoints>;
  readonly templates?: Partial<Templates>;
  readonly images?: Partial<Images>;
  readonly events?: Node["events"];
  readonly info?: Node["info"];
}

export function stubNode(parts: StubParts): Node {
  return {
    sandboxes: only("sandboxes", parts.sandboxes),
    processes: only("processes", parts.processes),
    files: only("files", parts.files),
    ports: only("ports", parts.ports),
    checkpoints: only("checkpoints", parts.checkpoints),
    templates: only("templates", parts.templates),
    images: only("images", parts.images),
    events: parts.events ?? missing("events"),
    info: parts.info ?? missing("info"),
  };
}

/** Ports of sandboxes, for servers of tests that carry nothing there. */
export const noDataPlane = {
  accept: missing("dataPlane.accept"),
  request: missing("dataPlane.request"),
  upgrade: missing("dataPlane.upgrade"),
};

function only<T extends object>(noun: string, methods: Partial<T> = {}): T {
  return new Proxy(methods, {
    get: (target, key) => Reflect.get(target, key) ?? missing(`${noun}.${String(key)}`),
  }) as T;
}

function missing(name: string): () => never {
  return () => {
    throw new Error(`the test's node has no ${name}`);
  };
}

const createdAt = new Date("2026-11-23T12:00:00Z");

export function aSandbox(fields: Partial<Sandbox> = {}): Sandbox {
  return {
    id: "a1b2c3d4" as SandboxId,
    spec: {
      image: "debian-python",
      env: { LANG: "C.UTF-8" },
      user: "user",
      cwd: "/home/user",
      limits: { cpus: 0.5, memoryBytes: 2 ** 29 },
      allowPrivilegeEscalation: false,
      guestVersion: "1",
    },
    origin: { kind: "template", template: "python", checkpoint: "c0ffee00" },
    labels: { run: "42" },
    generation: 1,
    snapshotKey: "s1",
    createdAt,
    isSlot: false,
    state: { status: "running", since: createdAt, pid: 4242, pidStart: "99" },
    ...fields,
  };
}

export function aCheckpoint(fields: Partial<Checkpoint> = {}): Checkpoint {
  return {
    id: "c0ffee00",
    kind: "user",
    sandbox: "a1b2c3d4",
    spec: aSandbox().spec,
    generation: 1,
    snapshotKey: "s2",
    memoryBytes: 3_500_000,
    inheritedBytes: 0,
    layerBytes: 4096,
    freezeMs: 61.5,
    createdAt,
    ...fields,
  };
}
