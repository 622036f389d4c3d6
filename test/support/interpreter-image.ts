/** The archive of the image code-interpreter, which scripts/test builds. Undefined where it is not asked for. */
export function interpreterImage(): string | undefined {
  const archive = process.env["RAMET_INTERPRETER_IMAGE"];
  if (archive === undefined && process.env["RAMET_REQUIRE"] === "all")
    throw new Error("RAMET_INTERPRETER_IMAGE names no image; scripts/test does");
  return archive;
}
