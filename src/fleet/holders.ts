/**
 * Who holds what: for each key (a template, a checkpoint, an image) an array of nodes, those that can take work in
 * front. Adding, removing, opening, closing and picking cost the same whatever the number of nodes.
 */

/** Where a node stands in each key's array; one map for each node and index. */
export type Positions = Map<string, number>;

export interface Pick<N> {
  /** Nodes that are passed over: a handful. */
  isExcept(node: N): boolean;
  /** Whether it can take it now. One that cannot is closed, so that it is asked once. */
  fits(node: N): boolean;
  /** Of several at random the one with most is taken. */
  score(node: N): number;
  random(): number;
}

export interface Holders<N> {
  /** Adds a node, closed. Nothing, where it is there. */
  add(key: string, node: N): void;
  /** Nothing, where it is not there. */
  remove(key: string, node: N): void;
  /** Lets it be picked, or not. Nothing, where it is not there. */
  set(key: string, node: N, isOpen: boolean): void;
  count(key: string): number;
  pick(key: string, pick: Pick<N>): N | undefined;
}

interface Row<N> {
  readonly nodes: N[];
  /** The first so many are open. */
  open: number;
}

/** More than one, so that those with room win; few, so that several registries with the same numbers do not herd. */
const samples = 3;

export function createHolders<N>(positionsOf: (node: N) => Positions): Holders<N> {
  const rows = new Map<string, Row<N>>();

  function swap(key: string, { nodes }: Row<N>, from: number, to: number): void {
    const [a, b] = [nodes[from], nodes[to]];
    if (from === to || a === undefined || b === undefined) return;
    nodes[to] = a;
    nodes[from] = b;
    positionsOf(a).set(key, to);
    positionsOf(b).set(key, from);
  }

  function set(key: string, node: N, isOpen: boolean): void {
    const [row, position] = [rows.get(key), positionsOf(node).get(key)];
    if (row === undefined || position === undefined || position < row.open === isOpen) return;
    if (isOpen) swap(key, row, position, row.open++);
    else swap(key, row, position, --row.open);
  }

  /** One at random of those open that is no exception; steps on from one that is. */
  function sample({ nodes, open }: Row<N>, { isExcept, random }: Pick<N>): N | undefined {
    const start = Math.floor(random() * open);
    for (let step = 0; step < open; step++) {
      const node = nodes[(start + step) % open];
      if (node !== undefined && !isExcept(node)) return node;
    }
    return undefined;
  }

  return {
    set,
    add(key, node) {
      const positions = positionsOf(node);
      if (positions.has(key)) return;
      const row = rows.get(key);
      positions.set(key, row?.nodes.length ?? 0);
      if (row === undefined) rows.set(key, { nodes: [node], open: 0 });
      else row.nodes.push(node);
    },
    remove(key, node) {
      set(key, node, false);
      const [row, position] = [rows.get(key), positionsOf(node).get(key)];
      if (row === undefined || position === undefined) return;
      swap(key, row, position, row.nodes.length - 1);
      row.nodes.pop();
      positionsOf(node).delete(key);
      if (row.nodes.length === 0) rows.delete(key);
    },
    count: (key) => rows.get(key)?.nodes.length ?? 0,
    pick(key, pick) {
      const row = rows.get(key);
      if (row === undefined) return undefined;
      let best: N | undefined;
      for (let taken = 0; taken < samples; ) {
        const node = sample(row, pick);
        if (node === undefined) break;
        if (!pick.fits(node)) {
          set(key, node, false);
          continue;
        }
        taken++;
        if (best === undefined || pick.score(node) > pick.score(best)) best = node;
      }
      return best;
    },
  };
}
