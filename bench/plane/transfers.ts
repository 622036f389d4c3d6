/** One large file in and out with curl, by us and by the peer in turns. */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { formatAddress } from "../../src/lib/address.js";
import { run } from "../run.js";
import type { Deployment } from "./deployment.js";
import { type Growth, growthOf } from "./memory.js";
import type { Peer } from "./peer.js";
import { envdPort, makeSandbox } from "./sandbox.js";

export interface TransferOptions {
  readonly rounds: number;
  readonly sizeMib: number;
  readonly root: string;
  readonly say: (text: string) => void;
}

export interface Rates {
  readonly name: string;
  /** Millions of bytes a second, of each round. */
  readonly upload: readonly number[];
  readonly download: readonly number[];
  /** Of gateway and agent, over all rounds; none for the peer. */
  readonly growth: Readonly<Record<"upload" | "download", readonly Growth[]>>;
}

interface Contestant {
  readonly name: string;
  readonly pids: readonly number[];
  upload(file: string): Promise<number>;
  download(bytes: number): Promise<number>;
}

export async function measureTransfers(
  deployments: readonly Deployment[],
  peer: Peer,
  { rounds, sizeMib, root, say }: TransferOptions,
): Promise<readonly Rates[]> {
  const file = join(root, "plane-file");
  await run("dd", ["if=/dev/urandom", `of=${file}`, "bs=1M", `count=${sizeMib}`]);
  const bytes = (await stat(file)).size;
  try {
    const rates: Rates[] = [];
    const all = [peerContestant(peer), ...(await Promise.all(deployments.map(ourContestant)))];
    const samples = all.map((one) => ({ one, upload: [] as number[], download: [] as number[] }));
    const growth = all.map(() => ({ upload: [] as Growth[], download: [] as Growth[] }));
    for (let round = 1; round <= rounds; round++)
      for (const [index, { one, upload, download }] of samples.entries()) {
        say(`plane: ${sizeMib} MiB in and out, ${one.name}, round ${round} of ${rounds}`);
        const up = await growthOf(one.pids, () => one.upload(file));
        upload.push(up.result);
        growth[index]?.upload.push(...up.growth);
        const down = await growthOf(one.pids, () => one.download(bytes));
        download.push(down.result);
        growth[index]?.download.push(...down.growth);
      }
    for (const [index, { one, upload, download }] of samples.entries())
      rates.push({ name: one.name, upload, download, growth: growth[index] ?? { upload: [], download: [] } });
    return rates;
  } finally {
    await rm(file, { force: true });
  }
}

function peerContestant({ url }: Peer): Contestant {
  const at = `${url}/files/file`;
  return {
    ...{ name: "nginx", pids: [] },
    upload: (file) => curl(["-T", file, at]),
    download: (bytes) => curl([at], bytes),
  };
}

async function ourContestant(deployment: Deployment): Promise<Contestant> {
  const { name, address, pids } = deployment;
  const sandbox = await makeSandbox(deployment);
  const at = `http://${formatAddress(address)}/files?path=/root/file&username=root`;
  const headers = sandbox.headers(envdPort);
  const octets = ["-H", "Content-Type: application/octet-stream"];
  return {
    ...{ name, pids: [...new Set([pids.gateway, pids.agent])] },
    upload: (file) => curl([...headers, ...octets, "-X", "POST", "-T", file, at]),
    download: (bytes) => curl([...headers, at], bytes),
  };
}

/** Millions of bytes a second. */
async function curl(words: readonly string[], bytes?: number): Promise<number> {
  const format = "%{http_code} %{size_upload} %{size_download} %{time_total}";
  const options = ["-sS", "-o", "/dev/null", "-H", "Expect:", "-w", format];
  const [status, up, down, seconds] = (await run("curl", [...options, ...words])).split(" ").map(Number);
  const isWhole = bytes === undefined || down === bytes;
  if (status === undefined || status >= 300 || !isWhole)
    throw new Error(`curl ${words.join(" ")}: status ${status}, ${down} bytes`);
  return Math.max(up ?? 0, down ?? 0) / (seconds ?? 0) / 1e6;
}
