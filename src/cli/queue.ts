/** Items from event listeners to one reader, in order. */
export interface Queue<T> extends AsyncIterable<T> {
  readonly size: number;
  push(item: T): void;
  end(): void;
  /** Resolves once the reader has asked for more than there is. */
  drained(): Promise<void>;
}

/** `onTaken` is told after each item that the reader took, so that a source can go on. */
export function createQueue<T>(onTaken: () => void = () => {}): Queue<T> {
  const items: T[] = [];
  let isEnded = false;
  let wake = () => {};
  let isWaiting = false;
  const onDrained: Array<() => void> = [];
  return {
    get size() {
      return items.length;
    },
    push(item) {
      if (isEnded) return;
      items.push(item);
      wake();
    },
    end() {
      isEnded = true;
      wake();
    },
    drained() {
      return isWaiting && items.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => onDrained.push(resolve));
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const item = items.shift();
        if (item !== undefined) {
          yield item;
          onTaken();
        } else if (isEnded) {
          return;
        } else {
          isWaiting = true;
          for (const tell of onDrained.splice(0)) tell();
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          isWaiting = false;
        }
      }
    },
  };
}
