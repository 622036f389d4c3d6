/** What every RegistryStore must do, whatever keeps it. */
import { afterEach, beforeEach, describe } from "vitest";
import type { RegistryStore } from "../../src/registry-store/registry-store.js";
import { catalogueContract } from "./registry-catalogue.js";
import { furnish } from "./registry-records.js";
import { sandboxListContract } from "./registry-sandbox-list.js";
import { sandboxesContract } from "./registry-sandboxes.js";
import { stockContract } from "./registry-stock.js";

/** An empty place to keep things, and how to open it: again and again, one at a time. */
export interface StorePlace extends AsyncDisposable {
  open(): Promise<RegistryStore>;
}

/** The store under test, empty but for teams t1 and t2 and nodes n1 and n2. */
export interface Subject {
  readonly store: RegistryStore;
  /** Closes the store and opens what it kept. */
  reopen(): Promise<RegistryStore>;
}

export function registryStoreContract(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(`${name}, as every RegistryStore,`, () => {
    let place: StorePlace;
    let store: RegistryStore;
    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
      await furnish(store);
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    const subject: Subject = {
      get store() {
        return store;
      },
      async reopen() {
        await store[Symbol.asyncDispose]();
        store = await place.open();
        return store;
      },
    };
    stockContract(subject);
    sandboxesContract(subject);
    sandboxListContract(subject);
    catalogueContract(subject);
  });
}
