/** Names of images. Pure. */
import { DomainError } from "../lib/errors.js";

const nameMax = 255;

/** Of the distribution project's grammar, upper case allowed: HOST:PORT/PATH/PATH:TAG@ALGORITHM:DIGEST. */
const component = "[a-zA-Z0-9]+(?:[._+-]+[a-zA-Z0-9]+)*";
const namePattern = new RegExp(
  `^${component}(?::\\d+(?=/))?(?:/${component})*(?::[\\w][\\w.+-]*)?(?:@${component}:[a-fA-F0-9]{32,})?$`,
);

/** Refuses, as `invalid_argument`, names that no image can have. */
export function parseImageName(name: string): string {
  if (name.length <= nameMax && namePattern.test(name)) return name;
  throw new DomainError("invalid_argument", `${JSON.stringify(name)} is not an image name`, {
    hint: `for example my-image:v1 or registry.example:5000/team/image; at most ${nameMax} characters`,
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
