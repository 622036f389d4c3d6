import type { ImageService } from "../gen/ramet/v1/image_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { imageProgressToProto, imageToProto } from "./convert-stored.js";
import type { ApiDeps } from "./deps.js";
import { parseHostPath, parseImageName, parseText, present } from "./parse.js";

const credentialBytesMax = 64 * 1024;

export function images({ node }: ApiDeps): Handlers<typeof ImageService> {
  return {
    async *import(request, { signal }) {
      const name = request.name === "" ? undefined : parseImageName(request.name, "name");
      const path = parseHostPath(request.path);
      for await (const progress of node.images.import(path, present({ name }), signal))
        yield imageProgressToProto(progress);
    },
    async *pull(request, { signal }) {
      const options = {
        plainHttp: request.plainHttp,
        ...present({
          username: parseText(request.username, "username", credentialBytesMax),
          password: parseText(request.password, "password", credentialBytesMax),
        }),
      };
      for await (const progress of node.images.pull(
        parseImageName(request.reference, "reference"),
        options,
        signal,
      ))
        yield imageProgressToProto(progress);
    },
    async list(_request, { signal }) {
      return { images: (await node.images.list(signal)).map(imageToProto) };
    },
    async get(request, { signal }) {
      return { image: imageToProto(await node.images.get(parseImageName(request.name), signal)) };
    },
    async delete(request, { signal }) {
      await node.images.delete(parseImageName(request.name), signal);
      return {};
    },
  };
}
