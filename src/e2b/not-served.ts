/** Parts of E2B's API that are not served: they say so, instead of being unknown. */
import type { FastifyInstance, HTTPMethods } from "fastify";
import { addRoute, type E2bDeps } from "./call.js";

const building = "templates are not built from steps: build them on nodes with `ramet template build`";
const volumes = "volumes are not served";
const secrets = "secrets are not served";
const teamMetrics = "metrics of a whole team are not served";
const renaming = "keys are not renamed: make another and revoke this one";

const routes: readonly (readonly [methods: string, url: string, message: string])[] = [
  ["POST", "/templates", building],
  ["POST", "/v2/templates", building],
  ["POST", "/v3/templates", building],
  ["POST", "/templates/:templateID", building],
  ["GET", "/templates/:templateID/files/:hash", building],
  ["POST", "/templates/:templateID/builds/:buildID", building],
  ["POST", "/v2/templates/:templateID/builds/:buildID", building],
  ["GET", "/templates/:templateID/builds/:buildID/status", building],
  ["GET", "/templates/:templateID/builds/:buildID/logs", building],
  ["GET POST", "/volumes", volumes],
  ["GET DELETE", "/volumes/:volumeID", volumes],
  ["GET POST", "/secrets", secrets],
  ["GET POST DELETE", "/secrets/:secretID", secrets],
  ["GET", "/teams/:teamID/metrics", teamMetrics],
  ["GET", "/teams/:teamID/metrics/max", teamMetrics],
  ["PATCH", "/api-keys/:apiKeyID", renaming],
];

export function addRoutesNotServed(app: FastifyInstance, deps: E2bDeps): void {
  for (const [methods, url, message] of routes)
    for (const method of methods.split(" ") as HTTPMethods[])
      addRoute(app, deps, { method, url, status: 501, handle: async () => ({ code: 501, message }) });
}
