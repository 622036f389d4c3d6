/**
 * Options as a schema names them. Each has a key in the TOML file, an environment variable and a flag, all named alike:
 * `containerd.address`, RAMET_CONTAINERD_ADDRESS, --containerd-address.
 */
import { z } from "zod";

export interface Option {
  /** In the file, e.g. `containerd.address`. */
  readonly key: string;
  readonly environment: string;
  /** Without the leading dashes. */
  readonly flag: string;
  readonly description: string;
  readonly isNumber: boolean;
}

export interface Program {
  /** `rametd agent` */
  readonly command: string;
  readonly schema: z.ZodObject;
  /** Of its environment variables, with the underscore. */
  readonly prefix: string;
  /** The file that may be absent, unless another is named. */
  readonly path: string;
}

/** All options, in the order of the schema. */
export function listOptions({ schema, prefix }: Pick<Program, "schema" | "prefix">): Option[] {
  return Object.entries(schema.shape).flatMap(([name, field]) =>
    field instanceof z.ZodPrefault && field.unwrap() instanceof z.ZodObject
      ? Object.entries((field.unwrap() as z.ZodObject).shape).map(([inner, leaf]) =>
          optionOf(prefix, `${name}.${inner}`, leaf as z.ZodType),
        )
      : [optionOf(prefix, name, field as z.ZodType)],
  );
}

function optionOf(prefix: string, key: string, field: z.ZodType): Option {
  const words = key.replaceAll(".", "_");
  return {
    key,
    environment: `${prefix}${words.toUpperCase()}`,
    flag: words.replaceAll("_", "-"),
    description: field.description ?? "",
    isNumber: field.safeParse(1_000_000_000_000).error?.issues[0]?.code === "too_big",
  };
}
