/** Keys with the times at which they are due. Setting one again moves it; a step costs the logarithm of their number. */
export interface DeadlineQueue {
  set(key: string, at: number): void;
  delete(key: string): void;
  /** Takes out up to `max` keys that are due at `now`, earliest first. */
  takeDue(now: number, max: number): readonly string[];
  readonly size: number;
}

interface Entry {
  readonly key: string;
  readonly at: number;
}

/** Entries that were moved or deleted stay in the heap until they surface; beyond this share it is built anew. */
const staleMin = 1024;

export function createDeadlineQueue(): DeadlineQueue {
  const current = new Map<string, Entry>();
  let heap: Entry[] = [];

  function compact(): void {
    if (heap.length <= 2 * current.size + staleMin) return;
    // A sorted array is a heap.
    heap = [...current.values()].sort((a, b) => a.at - b.at);
  }

  return {
    get size() {
      return current.size;
    },
    set(key, at) {
      if (current.get(key)?.at === at) return;
      const entry = { key, at };
      current.set(key, entry);
      push(heap, entry);
      compact();
    },
    delete(key) {
      current.delete(key);
      compact();
    },
    takeDue(now, max) {
      const due: string[] = [];
      for (let first = heap[0]; first !== undefined && due.length < max; first = heap[0]) {
        const isCurrent = current.get(first.key) === first;
        if (isCurrent && first.at > now) break;
        pop(heap);
        if (!isCurrent) continue;
        current.delete(first.key);
        due.push(first.key);
      }
      return due;
    },
  };
}

function push(heap: Entry[], entry: Entry): void {
  let index = heap.push(entry) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || above.at <= entry.at) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = entry;
}

function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const child = earlierChild(heap, index);
    const below = heap[child];
    if (below === undefined || below.at >= last.at) break;
    heap[index] = below;
    index = child;
  }
  heap[index] = last;
}

function earlierChild(heap: readonly Entry[], index: number): number {
  const left = 2 * index + 1;
  const [a, b] = [heap[left], heap[left + 1]];
  return a !== undefined && b !== undefined && b.at < a.at ? left + 1 : left;
}
