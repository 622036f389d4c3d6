/** The agent, through its socket with one long-lived connection: what a program that uses it sees. */
import type { Api } from "../src/cli/client.js";
import { type Contestant, type Recorder, rest } from "./contest.js";
import { programArgv, readyFile, type Workload } from "./workload.js";

export interface Ours extends Contestant, AsyncDisposable {
  /** Its golden checkpoint is what the bare floor restores. */
  readonly goldenCheckpoint: string;
  /** Another sandbox from the template, for its root filesystem. */
  readonly donor: string;
}

export interface OursOptions {
  readonly api: Api;
  readonly image: string;
  readonly workload: Workload;
}

const templateName = "bench";
// As whom podman runs it: the machines that this runs on need not let CRIU dump other users.
const user = "root";

export async function openOurs({ api, image, workload }: OursOptions): Promise<Ours> {
  const goldenCheckpoint = await buildTemplate(api, { name: templateName, image, workload });
  const source = await fromTemplate(api, templateName);
  const donor = await fromTemplate(api, templateName);
  const remove = async (sandbox: string) => void (await api.sandboxes.delete({ sandbox, force: true }));

  async function cold({ time }: Recorder): Promise<void> {
    await remove(await time("cold", () => startCold(api, image, workload)));
  }

  async function checkpoint({ time, note }: Recorder): Promise<void> {
    const taken = await time("checkpoint", () => api.checkpoints.create({ sandbox: source }));
    note("frozen", taken.checkpoint?.freezeMs ?? 0);
    await api.checkpoints.delete({ checkpoint: taken.checkpoint?.id ?? "" });
  }

  async function fork(recorder: Recorder, count: 1 | 16): Promise<void> {
    const clones: string[] = [];
    await recorder.time(count === 1 ? "fork" : "fork16", async () => {
      for await (const { event } of api.sandboxes.fork({ sandbox: source, count })) {
        if (event.case !== "clone") continue;
        const { result, durationMs } = event.value;
        if (result.case !== "sandbox") throw new Error(`a clone failed: ${result.value?.message}`);
        clones.push(result.value.id);
        if (count === 1) recorder.note("clone", durationMs);
      }
    });
    for (const clone of clones) await remove(clone);
  }

  return {
    name: "ours",
    goldenCheckpoint,
    donor,
    steps: {
      cold,
      template: async ({ time }) => remove(await time("template", () => fromTemplate(api, templateName))),
      checkpoint,
      fork: (recorder) => fork(recorder, 1),
      fork16: (recorder) => fork(recorder, 16),
      async pauseResume({ time }) {
        await time("pause", () => api.sandboxes.pause({ sandbox: source }));
        await rest();
        await time("resume", () => api.sandboxes.resume({ sandbox: source }));
      },
    },
    async [Symbol.asyncDispose]() {
      for (const id of [source, donor]) await remove(id);
      await api.templates.delete({ name: templateName });
    },
  };
}

export interface TemplateOptions {
  readonly name: string;
  readonly image: string;
  readonly workload: Workload;
}

/** The golden checkpoint. */
export async function buildTemplate(api: Api, { name, image, workload }: TemplateOptions): Promise<string> {
  const quoted = programArgv(workload).map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const request = {
    name,
    image,
    user,
    startCommand: `exec ${quoted.join(" ")}`,
    readyCommand: `test -e ${readyFile}`,
    readyTimeoutMs: 180_000,
    replace: true,
  };
  let golden = "";
  for await (const { template } of api.templates.build(request)) golden = template?.checkpoint ?? golden;
  if (golden === "") throw new Error("the template has no golden checkpoint");
  return golden;
}

export async function fromTemplate(api: Api, name: string): Promise<string> {
  const { sandbox } = await api.sandboxes.create({ source: { case: "template", value: name } });
  return idOf(sandbox);
}

/** From the image, with the program started in it. */
export async function startCold(api: Api, image: string, workload: Workload): Promise<string> {
  const created = await api.sandboxes.create({ source: { case: "image", value: image }, user });
  const sandbox = idOf(created.sandbox);
  await startProgram(api, sandbox, workload);
  return sandbox;
}

/** Ends once the process has been started, as `podman run -d` does. */
async function startProgram(api: Api, sandbox: string, workload: Workload): Promise<void> {
  async function* requests() {
    const start = { sandbox, argv: programArgv(workload), detach: true };
    yield { message: { case: "start" as const, value: start } };
  }
  for await (const { event } of api.processes.exec(requests())) if (event.case === "started") return;
  throw new Error("the program did not start");
}

export function idOf(sandbox: { readonly id: string } | undefined): string {
  if (sandbox === undefined) throw new Error("the answer has no sandbox");
  return sandbox.id;
}
