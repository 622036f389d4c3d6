/** Every service of the agent with its handlers: for a grpc-js server, and as functions for the same process. */
import { CheckpointService } from "../gen/ramet/v1/checkpoint_pb.js";
import { FileService } from "../gen/ramet/v1/file_pb.js";
import { ImageService } from "../gen/ramet/v1/image_pb.js";
import { NodeService } from "../gen/ramet/v1/node_pb.js";
import { ProcessService } from "../gen/ramet/v1/process_pb.js";
import { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import { TemplateService } from "../gen/ramet/v1/template_pb.js";
import { createLocalClient, type LocalClientOptions } from "../lib/grpc-local.js";
import { implementService, type ServiceParts } from "../lib/grpc-server.js";
import { type ApiLog, toStatus } from "../lib/grpc-status.js";
import { checkpoints } from "./checkpoints.js";
import { commitSandbox } from "./commit-sandbox.js";
import { createSandbox } from "./create-sandbox.js";
import type { ApiDeps } from "./deps.js";
import { exec } from "./exec.js";
import { fileData, fileNames, watchFiles } from "./files.js";
import { forkSandbox } from "./fork-sandbox.js";
import { images } from "./images.js";
import { moveSandbox } from "./move-sandbox.js";
import { nodeInfo } from "./node-info.js";
import { processes } from "./processes.js";
import { followSandbox, querySandbox } from "./query-sandbox.js";
import { templates } from "./templates.js";

/** By the names that clients have for them. */
function handlers(deps: ApiDeps) {
  return {
    sandboxes: {
      ...createSandbox(deps),
      ...forkSandbox(deps),
      ...commitSandbox(deps),
      ...moveSandbox(deps),
      ...querySandbox(deps),
      ...followSandbox(deps),
    },
    processes: { ...exec(deps), ...processes(deps) },
    files: { ...fileNames(deps), ...fileData(deps), ...watchFiles(deps) },
    checkpoints: checkpoints(deps),
    templates: templates(deps),
    images: images(deps),
    node: nodeInfo(deps),
  };
}

export function services(deps: ApiDeps, log: ApiLog): readonly ServiceParts[] {
  const status = (thrown: unknown, method: string) => toStatus(thrown, method, log);
  const all = handlers(deps);
  return [
    implementService(SandboxService, all.sandboxes, status),
    implementService(ProcessService, all.processes, status),
    implementService(FileService, all.files, status),
    implementService(CheckpointService, all.checkpoints, status),
    implementService(TemplateService, all.templates, status),
    implementService(ImageService, all.images, status),
    implementService(NodeService, all.node, status),
  ];
}

/** For a registry in the same process. */
export function localServices(deps: ApiDeps, options: LocalClientOptions) {
  const all = handlers(deps);
  return {
    sandboxes: createLocalClient(SandboxService, all.sandboxes, options),
    processes: createLocalClient(ProcessService, all.processes, options),
    files: createLocalClient(FileService, all.files, options),
    checkpoints: createLocalClient(CheckpointService, all.checkpoints, options),
    templates: createLocalClient(TemplateService, all.templates, options),
    images: createLocalClient(ImageService, all.images, options),
    node: createLocalClient(NodeService, all.node, options),
  };
}
