import { readFileSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { nodeRoutes } from "../../src/admin/nodes.js";
import { poolRoutes } from "../../src/admin/pools.js";
import { teamRoutes } from "../../src/admin/teams.js";
import { exitCodeOf } from "../../src/cli/exit-code.js";
import { allCommands } from "../../src/cli/main.js";
import { buildProgram } from "../../src/cli/program.js";
import { openInvocation } from "../../src/cli/session.js";
import { shapes } from "../../src/cli/shapes.js";
import { errorCodes } from "../../src/lib/errors.js";
import { statusOfCode } from "../../src/lib/grpc-status.js";
import { httpStatusOf } from "../../src/lib/http-status.js";

function readDoc(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
}

/** Text below each heading of a level, by heading. */
function sections(text: string, level: "##" | "###"): ReadonlyMap<string, string> {
  const parts = text.split(new RegExp(`^${level} `, "m")).slice(1);
  return new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n"))]));
}

function tableRows(text: string): readonly (readonly string[])[] {
  return [...text.matchAll(/^\|(.+)\|$/gm)].map(([, row = ""]) =>
    row.split(" | ").map((cell) => cell.trim()),
  );
}

function leaves(): readonly (readonly [string, Command])[] {
  const { stdin, stdout, stderr } = process;
  const io = { stdin, stdout, stderr, env: {}, onSignal: () => () => {} };
  const program = buildProgram(openInvocation(io, new AbortController().signal).cli);
  return allCommands(program)
    .filter((command) => command.commands.length === 0)
    .map((command) => [nameOf(command), command] as const);
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

const commonOptions = ["--json", "--socket", "--timeout", "--registry", "--admin-key-file"];

describe("docs/cli.md", () => {
  const described = sections(readDoc("cli.md"), "###");

  it("describes exactly the commands that there are", () => {
    expect([...described.keys()].sort()).toEqual(
      leaves()
        .map(([name]) => name)
        .sort(),
    );
  });

  it.each(leaves())("describes every option of %s", (name, command) => {
    const section = described.get(name) ?? "";
    const named = tableRows(section).map(([flags = ""]) => flags.replaceAll("`", ""));
    const options = command.options.filter(({ long }) => !commonOptions.includes(long ?? ""));
    expect(named.filter((flags) => flags.startsWith("-") && !flags.startsWith("---"))).toEqual(
      options.map(({ flags }) => flags),
    );
  });

  it("has the exit codes of the code", () => {
    const table = sections(readDoc("cli.md"), "##").get("Exit codes") ?? "";
    const documented = new Set(tableRows(table).map(([code]) => code));
    for (const code of Object.values(exitCodeOf)) expect(documented, String(code)).toContain(String(code));
  });
});

describe("docs/cli-json.md", () => {
  const text = readDoc("cli-json.md");
  const described = sections(text, "##");

  it("describes exactly the shapes that there are", () => {
    expect([...described.keys()].sort()).toEqual(Object.keys(shapes).sort());
  });

  it.each(Object.entries(shapes))("has a sample of %s that is one", (name, shape) => {
    const sample = /```json\n(.*?)```/s.exec(described.get(name) ?? "")?.[1] ?? "";
    expect(() => shape.parse(JSON.parse(sample))).not.toThrow();
  });

  it("says which shape each command prints", () => {
    const rows = tableRows(text.slice(0, text.indexOf("\n## "))).filter(([name]) =>
      name?.startsWith("`ramet "),
    );
    expect(rows.map(([name = ""]) => name.replaceAll("`", "")).sort()).toEqual(
      leaves()
        .map(([name]) => name)
        .sort(),
    );
    for (const [name, shape = ""] of rows) {
      if (name === "`ramet file cat`") continue;
      expect(Object.keys(shapes), name).toContain(/^(?:array of )?(\w+)/.exec(shape)?.[1]);
    }
  });
});

describe("docs/errors.md", () => {
  it("has exactly the codes that there are, with their statuses and exit codes", () => {
    const rows = tableRows(readDoc("errors.md")).filter(([code]) => code?.startsWith("`"));
    const documented = rows.map(([code = "", grpc, exit]) => [code.replaceAll("`", ""), grpc, exit]);
    const expected = errorCodes.map((code) => [code, status[statusOfCode[code]], String(exitCodeOf[code])]);
    expect(documented.sort()).toEqual(expected.sort());
  });
});

describe("docs/admin-api.md", () => {
  const text = readDoc("admin-api.md");

  it("describes exactly the routes that there are", () => {
    // What a route works with is not touched before it is asked.
    const routes = [
      ...teamRoutes({} as Parameters<typeof teamRoutes>[0]),
      ...nodeRoutes({} as Parameters<typeof nodeRoutes>[0]),
      ...poolRoutes({} as Parameters<typeof poolRoutes>[0]),
    ];
    const lines = routes.map(({ method, path }) => `${method} ${path}`);
    expect([...sections(text, "###").keys()].sort()).toEqual(lines.sort());
  });

  it("has the status of every code", () => {
    for (const [code, status] of Object.entries(httpStatusOf))
      expect(text, code).toMatch(new RegExp(`\\b${status}\\b[^,;]*\`${code}\``));
  });
});
