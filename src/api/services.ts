/** Every service of the agent with its handlers, ready for a grpc-js server. */
import { CheckpointService } from "../gen/ramet/v1/checkpoint_pb.js";
import { FileService } from "../gen/ramet/v1/file_pb.js";
import { ImageService } from "../gen/ramet/v1/image_pb.js";
import { NodeService } from "../gen/ramet/v1/node_pb.js";
import { ProcessService } from "../gen/ramet/v1/process_pb.js";
import { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import { TemplateService } from "../gen/ramet/v1/template_pb.js";
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

export function services(deps: ApiDeps, log: ApiLog): readonly ServiceParts[] {
  const status = (thrown: unknown, method: string) => toStatus(thrown, method, log);
  const sandboxes = {
    ...createSandbox(deps),
    ...forkSandbox(deps),
    ...commitSandbox(deps),
    ...moveSandbox(deps),
    ...querySandbox(deps),
    ...followSandbox(deps),
  };
  return [
    implementService(SandboxService, sandboxes, status),
    implementService(ProcessService, { ...exec(deps), ...processes(deps) }, status),
    implementService(FileService, { ...fileNames(deps), ...fileData(deps), ...watchFiles(deps) }, status),
    implementService(CheckpointService, checkpoints(deps), status),
    implementService(TemplateService, templates(deps), status),
    implementService(ImageService, images(deps), status),
    implementService(NodeService, nodeInfo(deps), status),
  ];
}
