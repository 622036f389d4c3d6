/**
 * One port for a registry: its calls by gRPC, and clients' requests to sandboxes by HTTP/1.1, which is faster for bodies
 * and short requests. Which of them a connection is for, the TLS handshake says (ALPN).
 */
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createServer, type Server, type TLSSocket, type TlsOptions } from "node:tls";
import { type Server as Calls, ServerCredentials } from "@grpc/grpc-js";
import { type Address, formatAddress } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";

export interface RemotePortOptions {
  readonly address: Address;
  readonly tls: TlsOptions;
  readonly calls: Calls;
  readonly requests: (connection: Duplex) => void;
  /** Whether a client with this certificate (DER) may send requests. Calls are asked about one by one. */
  readonly isWelcome: (peerCertificate: Buffer | undefined) => boolean;
}

export interface RemotePort extends AsyncDisposable {
  /** Another than 0 where 0 was asked for. */
  readonly port: number;
}

/** Throws `failed_precondition` where it cannot listen. Disposing cuts connections of requests, not those of calls. */
export async function openRemotePort(options: RemotePortOptions): Promise<RemotePort> {
  const { address, tls, calls, requests, isWelcome } = options;
  const injector = calls.createConnectionInjector(ServerCredentials.createInsecure());
  const asking = new Set<TLSSocket>();
  const server = createServer({ ...tls, noDelay: true, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
    socket.on("error", () => {});
    if (socket.alpnProtocol === "h2") injector.injectConnection(withOneCertificate(socket));
    else if (socket.alpnProtocol === "http/1.1" && isWelcome(certificateOf(socket))) {
      asking.add(socket);
      socket.once("close", () => asking.delete(socket));
      requests(socket);
    } else socket.destroy();
  });
  await listen(server, address);
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of asking) socket.destroy();
    },
  };
}

/** Each call asks for the certificate, which is one for the whole connection, and takes longer to read than many a call. */
function withOneCertificate(socket: TLSSocket): TLSSocket {
  const certificate = socket.getPeerCertificate();
  return Object.assign(socket, { getPeerCertificate: () => certificate });
}

/** Only of the authority's. */
function certificateOf(socket: TLSSocket): Buffer | undefined {
  return socket.authorized ? socket.getPeerCertificate().raw : undefined;
}

function listen(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const at = formatAddress(address);
      reject(
        new DomainError("failed_precondition", `cannot listen on ${at}: ${cause.message}`, {
          cause,
          hint: "see that the address is this machine's, and that nothing else listens there",
        }),
      );
    });
    server.listen(address.port, address.host, resolve);
  });
}
