/** The files of a form, one after another, as they come. */
import type { IncomingHttpHeaders } from "node:http";
import { Busboy, type BusboyFileStream, type BusboyHeaders } from "@fastify/busboy";
import { createBell } from "../lib/bell.js";
import { toDomainError } from "../lib/errors.js";
import { invalid } from "./failure.js";

const partName = "file";
/** Parts that have been read and wait for those before them: each is small, or the form would not be read on. */
const waitingMax = 8;

/** Calls `write` for each part named `file`, in order. The first failure ends it. */
export async function readForm<T>(
  headers: IncomingHttpHeaders,
  body: AsyncIterable<Uint8Array>,
  write: (filename: string, data: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T[]> {
  const form = openForm(headers);
  const moved = createBell();
  const open = new Set<BusboyFileStream>();
  const results: T[] = [];
  let turn: Promise<void> = Promise.resolve();
  let isFinished = false;
  let failure: { readonly thrown: unknown } | undefined;

  function fail(thrown: unknown): void {
    failure ??= { thrown };
    for (const file of open) file.destroy();
    form.destroy();
    moved.ring();
  }

  async function until(condition: () => boolean): Promise<void> {
    while (failure === undefined && !condition()) await moved.rung();
  }

  async function take(file: BusboyFileStream, filename: string): Promise<void> {
    try {
      if (failure === undefined) results.push(await write(filename, file));
    } catch (thrown) {
      fail(thrown);
    }
    open.delete(file);
    moved.ring();
  }

  form.on("file", (field, file, filename) => {
    file.on("error", () => {});
    if (field !== partName) {
      file.resume();
      return;
    }
    open.add(file);
    turn = turn.then(() => take(file, filename ?? ""));
  });
  form.on("drain", moved.ring);
  form.on("finish", () => {
    isFinished = true;
    moved.ring();
  });
  form.on("error", (thrown) => fail(invalid(`cannot read the form: ${String(thrown)}`)));
  try {
    for await (const piece of body) {
      form.write(piece);
      await until(() => !form.writableNeedDrain && open.size <= waitingMax);
      if (failure !== undefined) break;
    }
    if (failure === undefined) form.end();
    await until(() => isFinished);
  } catch (thrown) {
    fail(toDomainError(thrown, "reading the form"));
  }
  await turn;
  if (failure !== undefined) throw failure.thrown;
  return results;
}

function openForm(headers: IncomingHttpHeaders): Busboy {
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      // The name of a part may be a whole path; and where the query has the path, a part needs no name.
      preservePath: true,
      isPartAFile: (field) => field === partName,
    });
  } catch (thrown) {
    throw invalid(`cannot read the form: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
