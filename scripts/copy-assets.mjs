// Copies what tsc does not emit (SQL migrations) from src to dist, and makes the commands executable.
import { chmodSync, cpSync, existsSync } from "node:fs";

cpSync("src/store/migrations", "dist/store/migrations", { recursive: true });
for (const command of ["dist/bin/ramet.js", "dist/bin/rametd.js"]) {
  if (existsSync(command)) chmodSync(command, 0o755);
}
