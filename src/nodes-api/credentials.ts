/** What the nodes' API shows its clients: the registry's certificate, also once it was renewed. */
import { experimental, ServerCredentials } from "@grpc/grpc-js";
import type { LiveCertificate } from "../registry/certificate.js";

type Listener = experimental.IdentityCertificateUpdateListener;

export function credentialsOf(certificate: LiveCertificate | undefined): ServerCredentials {
  if (certificate === undefined) return ServerCredentials.createInsecure();
  const listeners = new Set<Listener>();
  const update = () => {
    const { cert, key } = certificate.current();
    return { certificate: cert, privateKey: key };
  };
  certificate.listen(() => {
    for (const listener of listeners) listener(update());
  });
  // The first of the two is what the server shows; the second would be whom it trusts.
  return experimental.createCertificateProviderServerCredentials(
    {
      addCaCertificateListener: () => {},
      removeCaCertificateListener: () => {},
      addIdentityCertificateListener(listener) {
        listeners.add(listener);
        // The server listens to the credentials itself only after this.
        process.nextTick(() => listener(update()));
      },
      removeIdentityCertificateListener: (listener) => void listeners.delete(listener),
    },
    null,
    false,
  );
}
