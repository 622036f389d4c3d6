/** What a node keeps (checkpoints, templates, images) between the domain and the wire. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { CheckpointSchema } from "../gen/ramet/v1/checkpoint_pb.js";
import type { ImageProgressSchema, ImageSchema } from "../gen/ramet/v1/image_pb.js";
import type { BuildTemplateRequest, TemplateSchema } from "../gen/ramet/v1/template_pb.js";
import type { Image } from "../image/image.js";
import type { CheckpointView, ImageProgress, TemplateView } from "../node/node.js";
import type { TemplateSpec } from "../template/template.js";
import { limitsToProto, parseLimits } from "./convert-sandbox.js";
import {
  parseCount,
  parseCwd,
  parseEnv,
  parseImageName,
  parseName,
  parseText,
  parseUser,
  present,
} from "./parse.js";

const readyTimeoutMsDefault = 60_000;
const readyTimeoutMsMax = 3_600_000;

export function checkpointToProto(checkpoint: Checkpoint): MessageInitShape<typeof CheckpointSchema> {
  return {
    id: checkpoint.id,
    name: checkpoint.name ?? "",
    kind: checkpoint.kind,
    sandbox: checkpoint.sandbox,
    parent: checkpoint.parent ?? "",
    image: checkpoint.spec.image,
    generation: BigInt(checkpoint.generation),
    memoryBytes: BigInt(checkpoint.memoryBytes),
    inheritedBytes: BigInt(checkpoint.inheritedBytes),
    layerBytes: BigInt(checkpoint.layerBytes),
    freezeMs: checkpoint.freezeMs,
    createdAt: timestampFromDate(checkpoint.createdAt),
  };
}

export function checkpointViewToProto(view: CheckpointView): MessageInitShape<typeof CheckpointSchema> {
  return { ...checkpointToProto(view.checkpoint), dependents: [...view.dependents] };
}

export function parseTemplateSpec(request: BuildTemplateRequest): TemplateSpec {
  const timeoutMs = parseCount(request.readyTimeoutMs, "ready timeout (ms)", 0, readyTimeoutMsMax);
  return {
    name: parseName(request.name),
    image: parseImageName(request.image),
    readyTimeoutMs: timeoutMs === 0 ? readyTimeoutMsDefault : timeoutMs,
    env: parseEnv(request.env),
    limits: parseLimits(request.limits),
    allowPrivilegeEscalation: request.allowPrivilegeEscalation,
    ...present({
      startCommand: parseText(request.startCommand, "start command"),
      readyCommand: parseText(request.readyCommand, "ready command"),
      user: parseUser(request.user),
      cwd: parseCwd(request.cwd),
    }),
  };
}

export function templateToProto({
  template,
  memoryBytes,
  slots,
}: TemplateView): MessageInitShape<typeof TemplateSchema> {
  const { spec, state } = template;
  return {
    name: spec.name,
    image: spec.image,
    startCommand: spec.startCommand ?? "",
    readyCommand: spec.readyCommand ?? "",
    readyTimeoutMs: spec.readyTimeoutMs,
    env: { ...spec.env },
    user: spec.user ?? "",
    cwd: spec.cwd ?? "",
    limits: limitsToProto(spec.limits),
    allowPrivilegeEscalation: spec.allowPrivilegeEscalation,
    status: state.status,
    reason: state.status === "failed" ? state.reason : "",
    checkpoint: state.status === "ready" ? state.checkpoint : "",
    memoryBytes: BigInt(memoryBytes),
    createdAt: timestampFromDate(template.createdAt),
    slots: { ...slots, memoryBytes: BigInt(slots.memoryBytes), problem: slots.problem ?? "" },
  };
}

export function imageToProto(image: Image): MessageInitShape<typeof ImageSchema> {
  const { config } = image;
  return {
    name: image.name,
    digest: image.digest,
    sizeBytes: BigInt(image.sizeBytes),
    createdAt: timestampFromDate(image.createdAt),
    env: { ...config.env },
    user: config.user,
    cwd: config.cwd,
    entrypoint: [...config.entrypoint],
    cmd: [...config.cmd],
    architecture: config.architecture,
  };
}

export function imageProgressToProto(progress: ImageProgress): MessageInitShape<typeof ImageProgressSchema> {
  const { step, doneBytes, totalBytes, image } = progress;
  return {
    step,
    doneBytes: BigInt(doneBytes),
    totalBytes: BigInt(totalBytes),
    ...(image === undefined ? {} : { image: imageToProto(image) }),
  };
}
