/** Measures the agent beside others. scripts/bench sets the stage and calls this. */
import { parseArgs } from "node:util";
import { measureBasic } from "./basic.js";
import { measureDensity } from "./density/density.js";
import { measurePlane } from "./plane/plane.js";
import { measureRegistry } from "./registry/registry.js";
import { measureScale } from "./scale/scale.js";
import { openPodman, openStage } from "./stage.js";

const { values } = parseArgs({
  options: {
    suite: { type: "string", default: "basic" },
    run: { type: "string", default: "/run/ramet-bench" },
    root: { type: "string", default: "/var/lib/ramet-bench" },
    prefix: { type: "string", default: "/opt/ramet" },
    archive: { type: "string", default: "" },
    rounds: { type: "string", default: "10" },
    only: { type: "string" },
    json: { type: "string" },
    out: { type: "string" },
    "max-size": { type: "string", default: "4096" },
    clones: { type: "string", default: "100" },
    claims: { type: "string", default: "50" },
    runsc: { type: "string" },
    live: { type: "string", default: "1,10,100,300,1000" },
    idle: { type: "string", default: "20" },
    agents: { type: "string", default: "200" },
    seconds: { type: "string", default: "10" },
    "at-once": { type: "string", default: "32" },
    recorded: { type: "string", default: "100000" },
    profile: { type: "string" },
    parts: { type: "string", default: "transfers,requests,interactive,streams" },
    processes: { type: "string", default: "one,two" },
    size: { type: "string", default: "1024" },
    streams: { type: "string", default: "1000" },
  },
});

async function main(): Promise<void> {
  const { suite, archive, only, json, out } = values;
  const rounds = Number(values.rounds);
  const has = (name: string) => suite === name || suite === "all";
  using stage = await openStage(values);
  if (has("basic") || has("scale")) {
    await using podman = await openPodman(stage, archive);
    const both = { ...stage, ...podman };
    if (has("basic")) await measureBasic(both, { rounds, only, json });
    if (has("scale")) {
      const [maxSizeMib, clones, claims] = [values["max-size"], values.clones, values.claims].map(Number);
      await measureScale(both, {
        ...{
          rounds,
          out,
          runsc: values.runsc,
          maxSizeMib: maxSizeMib ?? 0,
          clones: clones ?? 0,
          claims: claims ?? 0,
        },
      });
    }
  }
  if (has("density")) {
    const live = values.live.split(",").map(Number);
    await measureDensity(stage, { live, idleSeconds: Number(values.idle), out });
  }
  if (has("registry"))
    await measureRegistry(stage, {
      ...{ rounds, claims: Number(values.claims), agents: Number(values.agents) },
      ...{ seconds: Number(values.seconds), atOnce: Number(values["at-once"]) },
      ...{ recorded: Number(values.recorded), out, profile: values.profile },
    });
  if (has("plane"))
    await measurePlane(stage, {
      ...{ rounds, archive, prefix: values.prefix, out, json, profile: values.profile },
      ...{ parts: values.parts.split(","), processes: values.processes.split(",") },
      ...{ sizeMib: Number(values.size), streams: Number(values.streams) },
    });
}

await main();
