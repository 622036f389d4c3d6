/**
 * Drives the registry's own placement, pools, expiry and reconciling with simulated nodes on a virtual clock, and
 * checks in the end that everything has one owner: `npm run sim -- --nodes 10000 --sandboxes 1000000`.
 */
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { measureMemory } from "./memory.js";
import { figures, type Target, targets } from "./report.js";
import { simulate } from "./simulation.js";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "1000" },
    sandboxes: { type: "string", default: "100000" },
    seconds: { type: "string", default: "120" },
    seed: { type: "string", default: "1" },
  },
});

const print = (line: string) => process.stdout.write(`${line}\n`);
const shownMax = 20;
const options = {
  ...{ nodes: Number(values.nodes), sandboxes: Number(values.sandboxes) },
  ...{ seconds: Number(values.seconds), seed: Number(values.seed) },
};
const simulation = simulate(options);
const { violations } = simulation;
const shown = figures(simulation);
const held = measureMemory(simulation);
const results = targets(simulation, held);
const verdict = ({ isMet, what, wanted, got }: Target) =>
  `${isMet ? "met   " : "MISSED"}  ${what}: ${got}, wanted ${wanted}`;
print([...shown, "", ...results.map(verdict), ""].join("\n"));
print(
  `${availableParallelism()} cores, ${cpus()[0]?.model ?? "?"}, node ${process.version}, load ${loadavg()[0]?.toFixed(1)}`,
);
for (const violation of violations.slice(0, shownMax)) print(`violation: ${violation}`);
process.exitCode = violations.length === 0 ? 0 : 1;
