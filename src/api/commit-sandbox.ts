import type { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import type { ApiDeps } from "./deps.js";
import {
  parseArgv,
  parseCwd,
  parseEnv,
  parseImageName,
  parseRef,
  parseText,
  parseUser,
  present,
} from "./parse.js";

export function commitSandbox({ node }: ApiDeps): Pick<Handlers<typeof SandboxService>, "commit"> {
  return {
    async commit(request, { signal }) {
      const startedAt = performance.now();
      const options = {
        image: parseImageName(request.image),
        replace: request.replace,
        env: parseEnv(request.env),
        cmd: parseWords(request.cmd),
        entrypoint: parseWords(request.entrypoint),
        ...present({
          comment: parseText(request.comment, "comment", 4096),
          author: parseText(request.author, "author", 255),
          user: parseUser(request.user),
          cwd: parseCwd(request.cwd),
        }),
      };
      const { image, layerBytes } = await node.sandboxes.commit(parseRef(request.sandbox), options, signal);
      const durationMs = Math.round(performance.now() - startedAt);
      return { image: image.name, digest: image.digest, layerBytes: BigInt(layerBytes), durationMs };
    },
  };
}

function parseWords(words: readonly string[]): readonly string[] {
  return words.length === 0 ? [] : parseArgv(words);
}
