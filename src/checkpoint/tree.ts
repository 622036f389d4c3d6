/** The lineage of checkpoints as a forest, for people. Pure. */

export interface Descendant {
  readonly id: string;
  readonly parent?: string;
  readonly createdAt: Date;
}

export interface TreeNode<T> {
  readonly value: T;
  /** Oldest first. */
  readonly children: readonly TreeNode<T>[];
}

/** Roots are those without a parent, and those whose parent is gone. */
export function growTree<T extends Descendant>(checkpoints: readonly T[]): TreeNode<T>[] {
  const known = new Set(checkpoints.map(({ id }) => id));
  const byParent = new Map<string | undefined, T[]>();
  for (const checkpoint of [...checkpoints].sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())) {
    const { parent } = checkpoint;
    const key = parent !== undefined && known.has(parent) ? parent : undefined;
    byParent.set(key, [...(byParent.get(key) ?? []), checkpoint]);
  }
  const grow = (key: string | undefined): TreeNode<T>[] =>
    (byParent.get(key) ?? []).map((value) => ({ value, children: grow(value.id) }));
  return grow(undefined);
}

/** One line for each node, drawn as `tree` does; `label` gives its text. */
export function drawTree<T>(roots: readonly TreeNode<T>[], label: (value: T) => string): string[] {
  const draw = (nodes: readonly TreeNode<T>[], indent: string): string[] =>
    nodes.flatMap(({ value, children }, index) => {
      const isLast = index === nodes.length - 1;
      const below = draw(children, indent + (isLast ? "   " : "│  "));
      return [`${indent}${isLast ? "└─ " : "├─ "}${label(value)}`, ...below];
    });
  return roots.flatMap(({ value, children }) => [label(value), ...draw(children, "")]);
}
