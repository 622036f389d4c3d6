/** Holds the stream of reports to the registry: it begins again, whatever ends it, until the agent stops. */
import { channelCredentials, tlsServerName } from "../authority/credentials.js";
import { registryUri } from "../authority/identity.js";
import { checkProtocol, protocol } from "../authority/protocol.js";
import { MembershipService, type ReportResponse } from "../gen/ramet/v1/membership_pb.js";
import { type Address, formatAddress } from "../lib/address.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { type Client, createClient, openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "../lib/grpc-errors.js";
import { randomId } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import { delay, linkSignals } from "../lib/signal.js";
import type { NodeIdentity } from "./identity-files.js";
import { type ReportMessage, reportMessages } from "./report-messages.js";
import { openReports, type ReportDeps } from "./reports.js";

export interface ReportingOptions extends ReportDeps {
  readonly identity: NodeIdentity;
  readonly registry: Address;
  /** Of the software. */
  readonly version: string;
  /** Where the registry calls this agent. */
  readonly address: string;
  readonly log: Logger;
}

const keepAliveMs = 3000;
const pauseMs = { first: 250, most: 5_000 } as const;
/** A stream that held for so long has worked: what ends it then is a new trouble. */
const heldMs = 10_000;

type Membership = Client<typeof MembershipService>;

/** Resolves once the signal has aborted. */
export async function keepReporting(options: ReportingOptions, signal: AbortSignal): Promise<void> {
  const { identity, registry, log } = options;
  const at = formatAddress(registry);
  const instance = randomId();
  let pause: number = pauseMs.first;
  let lastMessage = "";
  while (!signal.aborted) {
    const startedAt = performance.now();
    const channel = openChannel(at, channelCredentials(identity.tls, registryUri), {
      keepAliveMs,
      serverName: tlsServerName,
    });
    try {
      const membership = createClient(MembershipService, channel, {
        timeoutMs: 0,
        toError: (error) => errorFromStatus(error, { callee: `the registry at ${at}`, timeoutMs: 0 }),
      });
      await reportOnce(membership, { ...options, instance }, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      const err = toDomainError(thrown, "reporting to the registry");
      if (performance.now() - startedAt >= heldMs) pause = pauseMs.first;
      // Said once, and again when it becomes something else: the attempts go on for as long as it lasts.
      if (err.message !== lastMessage) log.warn({ err, registry: at }, "not reporting to the registry");
      lastMessage = err.message;
    } finally {
      channel.close();
    }
    // By chance, so that all nodes of a registry that was away do not come at once.
    await delay(pause * (0.5 + Math.random() / 2), signal).catch(() => {});
    pause = Math.min(2 * pause, pauseMs.most);
  }
}

/** Ends with an error: the registry never ends the stream for no reason. */
async function reportOnce(
  membership: Membership,
  options: ReportingOptions & { readonly instance: string },
  signal: AbortSignal,
): Promise<void> {
  using linked = linkSignals(signal);
  const reports = openReports(options, linked.signal);
  const { version, instance, address, log } = options;
  async function* messages(): AsyncGenerator<ReportMessage> {
    let isFirst = true;
    for await (const news of reports.news) {
      yield* isFirst ? reportMessages(news, { protocol, version, instance, address }) : reportMessages(news);
      isFirst = false;
    }
  }
  try {
    for await (const { message } of membership.report(messages(), { signal: linked.signal }))
      hear(message, { askInventory: reports.askInventory, log, node: options.identity.node });
    throw new DomainError("unavailable", "the registry has ended the stream of reports");
  } finally {
    linked.abort(new Error("the stream has ended"));
  }
}

interface Hearing {
  readonly askInventory: () => void;
  readonly log: Logger;
  readonly node: string;
}

function hear(message: ReportResponse["message"], { askInventory, log, node }: Hearing): void {
  switch (message.case) {
    case "welcome":
      checkProtocol("the registry", message.value.protocol);
      log.info({ node }, "reporting to the registry");
      return;
    case "askInventory":
      askInventory();
      return;
    case "imposter":
      log.error(
        { node, peer: message.value.peer },
        "a second agent has shown this node's certificate to the registry, and was refused: " +
          "its data directory is a copy; give that machine one of its own and let it join",
      );
      return;
    case undefined:
      // Of a later registry: nothing that this one has to know.
      return;
  }
}
