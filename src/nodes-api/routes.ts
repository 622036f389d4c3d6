/**
 * How each call of the nodes' API is answered over all nodes of a registry, as data: forwarded to the node that has the
 * sandbox or the template, answered by the registry itself, or refused in words.
 */
import type { AgentApi } from "../agent-client/agent-api.js";
import type { ErrorCode } from "../lib/errors.js";

export type Route =
  /** To the node of the sandbox that the (first) message names. */
  | { readonly kind: "sandbox" }
  /** To a node that has the template that the message names. */
  | { readonly kind: "template" }
  /** By own-sandboxes.ts or own-templates.ts: it is the registry's to decide, or of all nodes. */
  | { readonly kind: "own" }
  | { readonly kind: "refused"; readonly why: string; readonly hint: string; readonly code: ErrorCode };

const ofSandbox: Route = { kind: "sandbox" };
const ofTemplate: Route = { kind: "template" };
const own: Route = { kind: "own" };
const refused = (why: string, hint: string, code: ErrorCode = "failed_precondition"): Route => ({
  ...{ kind: "refused", why, hint, code },
});

const onNode = "run the command on that node, without --registry";
const stopping = refused(
  "a registry has no stopped sandboxes",
  "pause it, or remove it with `ramet rm --force`",
);
const ofLineage = refused("a registry does not know how sandboxes of a node descend from each other", onNode);
const events = refused("events are those of one node", onNode);
const checkpoints = refused(
  "checkpoints are those of one node",
  "a registry has snapshots: POST /sandboxes/{id}/snapshots and GET /snapshots",
);
const images = refused(
  "images are those of one node",
  "build a template of it on nodes, and create from that",
);
const noImage = refused("a registry has no images", "build a template of it on nodes", "not_found");
const templates = refused("templates are built and removed on nodes", onNode);
const slots = refused("the warm slots of nodes are the registry's", "use `ramet pool set`");
const info = refused("this is a registry, and no node", "see `ramet node ls`");

/** One entry for each call; leaving one out does not compile. */
export const routes: { readonly [S in keyof AgentApi]: { readonly [M in keyof AgentApi[S]]: Route } } = {
  sandboxes: {
    ...{ create: own, get: own, list: own, fork: own, pause: own, resume: own, delete: own },
    ...{ stats: ofSandbox, logs: ofSandbox },
    listStats: refused("usage is asked for by sandbox", "ask for each by itself"),
    ...{ stop: stopping, keep: ofLineage, rollBack: ofLineage, commit: images, events },
  },
  processes: { exec: ofSandbox, list: ofSandbox, signal: ofSandbox, write: ofSandbox, resize: ofSandbox },
  files: {
    ...{ stat: ofSandbox, list: ofSandbox, read: ofSandbox, write: ofSandbox, makeDir: ofSandbox },
    ...{ rename: ofSandbox, remove: ofSandbox, symlink: ofSandbox, watch: ofSandbox },
  },
  checkpoints: {
    ...{ create: checkpoints, list: checkpoints, get: checkpoints, verify: checkpoints, delete: checkpoints },
  },
  templates: { get: ofTemplate, list: own, build: templates, setSlots: slots, delete: templates },
  images: { import: images, pull: images, list: images, get: noImage, delete: images },
  node: { info },
};
