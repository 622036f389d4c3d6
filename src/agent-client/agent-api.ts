/** An agent's API as typed functions over an open channel: the same for its own command line and for a registry. */
import type { Client as Channel } from "@grpc/grpc-js";
import { CheckpointService } from "../gen/ramet/v1/checkpoint_pb.js";
import { FileService } from "../gen/ramet/v1/file_pb.js";
import { ImageService } from "../gen/ramet/v1/image_pb.js";
import { NodeService } from "../gen/ramet/v1/node_pb.js";
import { ProcessService } from "../gen/ramet/v1/process_pb.js";
import { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import { TemplateService } from "../gen/ramet/v1/template_pb.js";
import { type Client, type ClientOptions, createClient } from "../lib/grpc.js";

/** Calls throw DomainError in the agent's own words. */
export interface AgentApi {
  readonly sandboxes: Client<typeof SandboxService>;
  readonly processes: Client<typeof ProcessService>;
  readonly files: Client<typeof FileService>;
  readonly checkpoints: Client<typeof CheckpointService>;
  readonly templates: Client<typeof TemplateService>;
  readonly images: Client<typeof ImageService>;
  readonly node: Client<typeof NodeService>;
}

/** Closing the channel is the caller's part. */
export function agentApi(channel: Channel, options: ClientOptions): AgentApi {
  return {
    sandboxes: createClient(SandboxService, channel, options),
    processes: createClient(ProcessService, channel, options),
    files: createClient(FileService, channel, options),
    checkpoints: createClient(CheckpointService, channel, options),
    templates: createClient(TemplateService, channel, options),
    images: createClient(ImageService, channel, options),
    node: createClient(NodeService, channel, options),
  };
}
