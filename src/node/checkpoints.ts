/** Checkpoints as people ask about them. */
import { type Checkpoint, describeDependent } from "../checkpoint/checkpoint.js";
import { checkpointProblems, readManifest } from "./checkpoint-files.js";
import type { Deps } from "./deps.js";
import type { Checkpoints, CheckpointView } from "./node.js";
import { deleteCheckpoint } from "./reap.js";
import { takeCheckpoint } from "./take-checkpoint.js";

export function openCheckpointVerbs(deps: Deps): Checkpoints {
  const { store } = deps;
  const view = (checkpoint: Checkpoint): CheckpointView => ({
    checkpoint,
    dependents: store.checkpoints.dependents(checkpoint.id).map(describeDependent),
  });
  return {
    create: (ref, options, signal) => takeCheckpoint(deps, ref, options, signal),
    async list({ sandbox, all }) {
      const id = sandbox === undefined ? undefined : store.sandboxes.find(sandbox).id;
      const found = store.checkpoints.list({
        ...(id === undefined ? {} : { sandbox: id }),
        ...(all ? {} : { kinds: ["user"] }),
      });
      return found.map(view);
    },
    async get(ref) {
      const checkpoint = store.checkpoints.find(ref);
      return { ...view(checkpoint), manifestJson: (await readManifest(deps, checkpoint)).text };
    },
    verify: (ref, signal) => checkpointProblems(deps, store.checkpoints.find(ref), signal),
    delete: (ref) => deleteCheckpoint(deps, ref),
  };
}
