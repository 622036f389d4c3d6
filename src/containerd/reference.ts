/** Names of images. Pure. */
import { DomainError } from "../lib/errors.js";

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9._\-/:@+]{0,254}$/;

/** Refuses, as `invalid_argument`, names that no image can have. */
export function parseImageName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new DomainError("invalid_argument", `${JSON.stringify(name)} is not an image name`, {
    hint: "use letters, digits and . _ - / : @ +, at most 255 characters",
  });
}

/**
 * Completes a short reference the way people know it from docker: `debian` is
 * `docker.io/library/debian:latest`. A first part with a dot, a colon, or that is `localhost`, is a registry.
 */
export function completeReference(name: string): string {
  const [first = "", ...rest] = parseImageName(name).split("/");
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const path = hasHost ? rest.join("/") : name;
  const repository = !hasHost && rest.length === 0 ? `library/${path}` : path;
  return `${hasHost ? first : "docker.io"}/${withTag(repository)}`;
}

function withTag(path: string): string {
  return /[:@]/.test(path) ? path : `${path}:latest`;
}
