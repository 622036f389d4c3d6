/** A service of one method of each kind, for tests of what carries calls. */
import { create, createFileRegistry, type DescMethod } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  type StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import { DomainError } from "../../src/lib/errors.js";
import type { HandlerContext, Handlers } from "../../src/lib/grpc-server.js";

type Text = typeof StringValueSchema;
type Method<K extends DescMethod["methodKind"]> = { methodKind: K; input: Text; output: Text };
export type Echo = GenService<{
  one: Method<"unary">;
  many: Method<"server_streaming">;
  join: Method<"client_streaming">;
  both: Method<"bidi_streaming">;
}>;

function echoService(): Echo {
  const text = { inputType: ".google.protobuf.StringValue", outputType: ".google.protobuf.StringValue" };
  const file = create(FileDescriptorProtoSchema, {
    name: "echo.proto",
    package: "test",
    syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [
      {
        name: "Echo",
        method: [
          { ...text, name: "One" },
          { ...text, name: "Many", serverStreaming: true },
          { ...text, name: "Join", clientStreaming: true },
          { ...text, name: "Both", clientStreaming: true, serverStreaming: true },
        ],
      },
    ],
  });
  return createFileRegistry(file, () => file_google_protobuf_wrappers.proto).getService("test.Echo") as Echo;
}

export const Echo: Echo = echoService();

export interface Seen {
  readonly signals: AbortSignal[];
  readonly metadata: string[];
}

export function echoHandlers(seen: Seen): Handlers<Echo> {
  const note = ({ signal, metadata }: HandlerContext) => {
    seen.signals.push(signal);
    seen.metadata.push(...metadata.get("x-test").map(String));
  };
  return {
    async one({ value }, context) {
      note(context);
      if (value === "hang") await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      if (value === "fail") throw new DomainError("not_found", "there is no such echo");
      return { value };
    },
    async *many({ value }, context) {
      note(context);
      for (let n = 0; value === "forever" || n < 1000; n++) yield { value: `${n} ${"x".repeat(1000)}` };
    },
    async join(requests) {
      const values: string[] = [];
      for await (const { value } of requests) values.push(value);
      return { value: values.join("") };
    },
    async *both(requests, context) {
      note(context);
      for await (const { value } of requests) {
        if (value === "fail") throw new DomainError("invalid_argument", "not this");
        yield { value: value.toUpperCase() };
      }
    },
  };
}
