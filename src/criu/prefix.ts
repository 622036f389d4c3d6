/** Where the runtime's programs are: in the private prefix, else on the PATH. */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

export interface ProgramPlaces {
  /** Its `bin` comes first. */
  readonly prefix: string;
  /** As in the environment variable PATH. */
  readonly path: string;
}

/** Search path of programs that are started for the runtime. */
export function runtimePath({ prefix, path }: ProgramPlaces): string {
  return [join(prefix, "bin"), ...path.split(delimiter).filter((directory) => directory !== "")].join(
    delimiter,
  );
}

/** The first executable file of that name, absolute; undefined if there is none. */
export async function findProgram(name: string, places: ProgramPlaces): Promise<string | undefined> {
  for (const directory of runtimePath(places).split(delimiter)) {
    const candidate = join(directory, name);
    const found = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  return undefined;
}
