/** The way to sandboxes of a node in another process: requests go to its agent, which each tells what it is for. */
import { connect } from "node:tls";
import { carryRequest } from "../lib/carry-http.js";
import { carryUpgrade } from "../lib/carry-upgrade.js";
import { cutResponse } from "../lib/cut-response.js";
import type { NodePort } from "../registry/node-port.js";
import { encodeTarget, targetHeader } from "../sandbox/port-target.js";
import { answer, answerOnSocket } from "./answers.js";
import type { Carrier, Target } from "./gateway.js";

export function tunnelCarrier(node: NodePort): Carrier {
  const told = (target: Target) => ({ add: { [targetHeader]: encodeTarget(target) } });
  return {
    request(exchange, target) {
      const { request, response } = exchange;
      let isGivenUp = false;
      const giveUp = () => {
        isGivenUp = true;
        node.unanswered.delete(giveUp);
        answer(request, response, noAnswer(target));
      };
      const onAnswer = () => void node.unanswered.delete(giveUp);
      node.unanswered.add(giveUp);
      carryRequest(exchange, node, { ...told(target), onAnswer }).catch(() => {
        node.unanswered.delete(giveUp);
        if (isGivenUp) return;
        if (response.headersSent) cutResponse(response);
        else answer(request, response, noAnswer(target));
      });
    },
    upgrade(exchange, target) {
      const { host, port, tls } = node;
      // Looked at while it is idle as those of the agent are, which finds out in 11 s that it leads nowhere any more.
      const connection = connect({ ...tls, host, port })
        .setNoDelay(true)
        .setKeepAlive(true, 1000);
      connection.once("error", () => {
        if (!exchange.socket.writableEnded) answerOnSocket(exchange.socket, noAnswer(target));
      });
      node.alone.add(connection);
      connection.once("close", () => node.alone.delete(connection));
      void carryUpgrade(exchange, connection, told(target));
    },
  };
}

/** Not what clients take for a sandbox that is gone. */
const noAnswer = ({ sandbox }: Target) => ({
  status: 503,
  body: { sandboxId: sandbox, message: "the sandbox's node gave no answer", code: 503 },
});
