import type { NodeService } from "../gen/ramet/v1/node_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import type { ApiDeps } from "./deps.js";

export function nodeInfo({ node }: ApiDeps): Handlers<typeof NodeService> {
  return {
    async info(_request, { signal }) {
      const { diskFreeBytes, ...info } = await node.info(signal);
      return { ...info, diskFreeBytes: BigInt(diskFreeBytes) };
    },
  };
}
