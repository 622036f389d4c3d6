/** Processes seen from outside their own streams: list, signal, write, resize. */
import type { ProcessService } from "../gen/ramet/v1/process_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { parseTerminal, processToProto } from "./convert-process.js";
import type { ApiDeps } from "./deps.js";
import { invalid, parseCount, parseRef } from "./parse.js";

type Handled = Pick<Handlers<typeof ProcessService>, "list" | "signal" | "write" | "resize">;

const pidMax = 4_194_304;

export function processes({ node }: ApiDeps): Handled {
  return {
    async list(request, { signal }) {
      const found = await node.processes.list(parseRef(request.sandbox), signal);
      return { processes: found.map(processToProto) };
    },
    async signal(request, { signal }) {
      const signo = parseCount(request.signal, "signal", 1, 64);
      const { group } = request;
      await node.processes.signal(parseRef(request.sandbox), parsePid(request.pid), signo, { group }, signal);
      return {};
    },
    async write(request, { signal }) {
      const { data, eof } = request;
      await node.processes.write(parseRef(request.sandbox), parsePid(request.pid), data, { eof }, signal);
      return {};
    },
    async resize(request, { signal }) {
      if (request.terminal === undefined) throw invalid("the terminal's size is missing");
      const size = parseTerminal(request.terminal);
      await node.processes.resize(parseRef(request.sandbox), parsePid(request.pid), size, signal);
      return {};
    },
  };
}

function parsePid(pid: number): number {
  return parseCount(pid, "pid", 1, pidMax);
}
