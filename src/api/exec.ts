/** The stream of one process: started or attached to, input in, output out. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ExecAttach,
  ExecRequest,
  ExecResponseSchema,
  ExecStart,
  ProcessService,
} from "../gen/ramet/v1/process_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import type { ExecEvent, ExecInput } from "../node/processes.js";
import { execEventToProto, parseExecInput, parseExecStart, parseTag } from "./convert-process.js";
import { type ApiDeps, untilClosing } from "./deps.js";
import { invalid, parseRef, parseSafeInteger } from "./parse.js";

type Response = MessageInitShape<typeof ExecResponseSchema>;

export function exec(deps: ApiDeps): Pick<Handlers<typeof ProcessService>, "exec"> {
  return {
    async *exec(requests, { signal }) {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      const message = first.done === true ? undefined : first.value.message;
      if (message?.case === "start") yield* start(deps, message.value, inputOf(messages), signal);
      else if (message?.case === "attach") yield* attach(deps, message.value, inputOf(messages), signal);
      else throw invalid("the first message of the stream must be start or attach");
    },
  };
}

async function* start(
  deps: ApiDeps,
  message: ExecStart,
  input: AsyncIterable<ExecInput>,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const ref = parseRef(message.sandbox);
  const options = parseExecStart(message);
  const { processes } = deps.node;
  if (message.detach) {
    const { pid } = await processes.start(ref, options, signal);
    yield execEventToProto({ kind: "started", pid, droppedBytes: 0 });
    return;
  }
  yield* converted(untilClosing(deps, signal, (until) => processes.exec(ref, options, input, until)));
}

async function* attach(
  deps: ApiDeps,
  message: ExecAttach,
  input: AsyncIterable<ExecInput>,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const ref = parseRef(message.sandbox);
  const target = parseTarget(message);
  const { afterSeq } = message;
  const options = afterSeq === undefined ? {} : { afterSeq: parseSafeInteger(afterSeq, "after_seq") };
  const { processes } = deps.node;
  yield* converted(
    untilClosing(deps, signal, (until) => processes.attach(ref, target, options, input, until)),
  );
}

function parseTarget({ pid, tag }: ExecAttach): { readonly pid: number } | { readonly tag: string } {
  if (pid !== 0 && tag !== "") throw invalid("either pid or tag names the process, not both");
  if (pid !== 0) return { pid };
  const parsed = parseTag(tag);
  if (parsed === undefined) throw invalid("pid or tag of the process is missing");
  return { tag: parsed };
}

async function* converted(events: AsyncIterable<ExecEvent>): AsyncGenerator<Response> {
  for await (const event of events) yield execEventToProto(event);
}

/**
 * The rest of the requests as input. Its `return` does not reach the call's own stream: destroying that before
 * the answer is complete would take the status with it.
 */
function inputOf(messages: AsyncIterator<ExecRequest>): AsyncIterable<ExecInput> {
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const result = await messages.next();
        if (result.done === true) return { done: true, value: undefined };
        return { done: false, value: parseExecInput(result.value) };
      },
    }),
  };
}
