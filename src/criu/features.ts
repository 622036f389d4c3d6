import { execa } from "execa";

export async function readCriuVersion(path: string): Promise<string> {
  const { stdout } = await execa(path, ["--version"], { timeout: 10_000 });
  return /Version: (\S+)/.exec(stdout)?.[1] ?? "0";
}

export async function readRuncVersion(path: string): Promise<string> {
  const { stdout } = await execa(path, ["--version"], { timeout: 10_000 });
  return /runc version (\S+)/.exec(stdout)?.[1] ?? "0";
}
