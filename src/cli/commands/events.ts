import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { EventsResponse } from "../../gen/ramet/v1/sandbox_pb.js";
import { parseWhole } from "../arguments.js";
import { printable } from "../format.js";
import { type Cli, leaf } from "../session.js";
import type { Shape } from "../shapes.js";

interface EventsOptions {
  readonly follow?: boolean;
  readonly since: number;
}

export function eventsCommand(cli: Cli): Command {
  return leaf("events", "Print what happened on this node (the last 10,000 events are kept)", [
    "events",
    "events -f a1b2",
    "events --since 1200 --json",
  ])
    .argument("[sandbox]", "only events of this sandbox")
    .option("-f, --follow", "go on with new events")
    .option("--since <id>", "events after this id", parseWhole, 0)
    .action(
      cli.action(async ({ api, out, streamOptions }, sandbox: string | undefined, options: EventsOptions) => {
        const { follow = false, since } = options;
        const request = { sandbox: sandbox ?? "", sinceId: BigInt(since), follow };
        const { sandboxes } = await api();
        for await (const event of sandboxes.events(request, streamOptions))
          await out.line("event", view(event), describe);
      }),
    );
}

function view({ id, at, type, sandbox, attributes }: EventsResponse): Shape<"event"> {
  const time = (at === undefined ? new Date(0) : timestampDate(at)).toISOString();
  return { id: Number(id), at: time, type, ...(sandbox === "" ? {} : { sandbox }), attributes };
}

function describe({ id, at, type, sandbox = "-", attributes }: Shape<"event">): string {
  const pairs = Object.entries(attributes).map(([key, value]) => `${key}=${value}`);
  return printable([id, at, type, sandbox, ...pairs].join("  "));
}
