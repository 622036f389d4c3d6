/** Checkpoints by lineage. */
import { formatAge, formatBytes, printable } from "./format.js";
import type { CheckpointNode, Shape } from "./shapes.js";

type Checkpoint = Shape<"checkpoint">;

/** Roots first, oldest first at every level. One whose parent is gone is a root. */
export function checkpointForest(checkpoints: readonly Checkpoint[]): CheckpointNode[] {
  const known = new Set(checkpoints.map(({ id }) => id));
  const sorted = [...checkpoints].sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  const childrenOf = (parent: string | undefined): CheckpointNode[] =>
    sorted
      .filter((it) => (it.parent !== undefined && known.has(it.parent) ? it.parent : undefined) === parent)
      .map((it) => ({ ...it, children: childrenOf(it.id) }));
  return childrenOf(undefined);
}

export function drawForest(roots: readonly CheckpointNode[]): string {
  return roots.flatMap((root) => [describe(root), ...drawChildren(root, "")]).join("\n");
}

function drawChildren({ children }: CheckpointNode, indent: string): string[] {
  return children.flatMap((child, index) => {
    const isLast = index === children.length - 1;
    const line = `${indent}${isLast ? "└─ " : "├─ "}${describe(child)}`;
    return [line, ...drawChildren(child, `${indent}${isLast ? "   " : "│  "}`)];
  });
}

function describe(node: CheckpointNode): string {
  const { id, name, kind, sandbox, memoryBytes, inheritedBytes, createdAt, dependents } = node;
  const inherited = inheritedBytes === 0 ? "" : ` + ${formatBytes(inheritedBytes)} inherited`;
  const label = name === undefined ? id : `${id} (${name})`;
  const age = formatAge(new Date(createdAt), new Date());
  const live = dependents.length === 0 ? "" : `  ◀ ${dependents.join(", ")}`;
  return printable(`${label}  ${kind} of ${sandbox}, ${formatBytes(memoryBytes)}${inherited}, ${age}${live}`);
}
