/**
 * Collects undo steps while something is being built and runs them newest first.
 * Method names follow AsyncDisposableStack, which Node 20 lacks.
 */
export interface Scope extends AsyncDisposable {
  /** Registers a resource for disposal and returns it. */
  use<T extends AsyncDisposable>(resource: T): T;
  defer(undo: () => unknown): void;
  /** Hands everything registered so far to a new scope; this one then undoes nothing. */
  move(): Scope;
}

export function openScope(undos: Array<() => unknown> = []): Scope {
  return {
    use(resource) {
      undos.push(() => resource[Symbol.asyncDispose]());
      return resource;
    },
    defer(undo) {
      undos.push(undo);
    },
    move: () => openScope(undos.splice(0)),
    async [Symbol.asyncDispose]() {
      const errors: unknown[] = [];
      for (const undo of undos.splice(0).reverse()) {
        try {
          await undo();
        } catch (err) {
          errors.push(err);
        }
      }
      if (errors.length === 1) throw errors[0];
      if (errors.length > 1) throw new AggregateError(errors, "cleanup failed");
    },
  };
}
