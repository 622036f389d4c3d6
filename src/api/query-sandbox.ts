/** What can be asked about sandboxes: get, list, stats, logs, events. */
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { streamNumber } from "./convert-process.js";
import { parseStatus, sandboxToProto, statsToProto } from "./convert-sandbox.js";
import { type ApiDeps, untilClosing } from "./deps.js";
import { invalid, parseLabels, parseRef, parseSafeInteger, present } from "./parse.js";

type Queries = Pick<Handlers<typeof SandboxService>, "get" | "list" | "stats" | "listStats">;
/** Sandboxes whose usage is read in one call. */
const readingsMax = 1000;

type Followers = Pick<Handlers<typeof SandboxService>, "logs" | "events">;

export function querySandbox({ node }: ApiDeps): Queries {
  return {
    async get(request) {
      return { sandbox: sandboxToProto(await node.sandboxes.get(parseRef(request.sandbox))) };
    },
    async list(request) {
      const statuses = request.statuses.map(parseStatus);
      const sandboxes = await node.sandboxes.list({ statuses, labels: parseLabels(request.labels) });
      return { sandboxes: sandboxes.map(sandboxToProto) };
    },
    async stats(request, { signal }) {
      return statsToProto(await node.sandboxes.stats(parseRef(request.sandbox), signal));
    },
    async listStats({ sandboxes }, { signal }) {
      if (sandboxes.length > readingsMax)
        throw invalid(`${sandboxes.length} sandboxes are too many for one call`, `at most ${readingsMax}`);
      const stats = await node.sandboxes.listStats(
        sandboxes.map((ref) => parseRef(ref)),
        signal,
      );
      return { stats: Object.fromEntries([...stats].map(([ref, one]) => [ref, statsToProto(one)])) };
    },
  };
}

export function followSandbox(deps: ApiDeps): Followers {
  const { node } = deps;
  return {
    async *logs(request, { signal }) {
      const ref = parseRef(request.sandbox);
      const options = { follow: request.follow, ...(request.pid === 0 ? {} : { pid: request.pid }) };
      for await (const chunk of untilClosing(deps, signal, (until) =>
        node.sandboxes.logs(ref, options, until),
      ))
        yield {
          stream: streamNumber[chunk.stream],
          data: chunk.data,
          droppedBytes: BigInt(chunk.droppedBytes),
        };
    },
    async *events(request, { signal }) {
      const query = {
        sinceId: parseSafeInteger(request.sinceId, "since_id"),
        follow: request.follow,
        ...present({ sandbox: request.sandbox === "" ? undefined : parseRef(request.sandbox) }),
      };
      for await (const event of untilClosing(deps, signal, (until) => node.events(query, until)))
        yield {
          id: BigInt(event.id),
          at: timestampFromDate(event.at),
          type: event.type,
          sandbox: event.sandbox ?? "",
          attributes: { ...event.attributes },
        };
    },
  };
}
