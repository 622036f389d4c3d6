// Copies what tsc does not emit (SQL migrations, the registry's page, the C programs) from src to dist.
import { cpSync, existsSync } from "node:fs";

for (const migrations of ["store/migrations", "registry-store/sqlite/migrations"])
  cpSync(`src/${migrations}`, `dist/${migrations}`, { recursive: true });
cpSync("src/admin/page", "dist/admin/page", { recursive: true });
const guest = "src/guest/build/guest";
if (existsSync(guest)) cpSync(guest, "dist/guest/guest");
else console.warn("no guest yet: `make -C src/guest`, then build again");
// Only built on x86-64.
const memoryd = "src/memoryd/build/memoryd";
if (existsSync(memoryd)) cpSync(memoryd, "dist/memoryd/memoryd");
