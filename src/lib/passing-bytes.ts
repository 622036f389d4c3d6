/**
 * Bytes of bodies that pass through this process, in buffers outside of V8's heap. V8 counts those until they are 64 MB,
 * and then marks the whole heap for them: some 100 ms of a processor, several times a second under load. They are young
 * and dead by then, and collecting what is young takes 2 ms. V8 would do so by itself only when the young part of its
 * heap is full, which such buffers do not fill. So it is asked to, each time that so many bytes have passed.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const collectAtBytes = 16 * 1024 * 1024;

function createMeter(): (bytes: number) => void {
  setFlagsFromString("--expose-gc");
  // Nobody else gets it: new contexts have it, and this one has not.
  const collect = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;
  setFlagsFromString("--no-expose-gc");
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < collectAtBytes) return;
    passed = 0;
    collect({ type: "minor" });
  };
}

/** To be told of each piece, once in each process that it passes. */
export const bytesPassed = createMeter();
