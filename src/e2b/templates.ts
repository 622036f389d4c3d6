/** Templates: list, get, delete, aliases. They are built on nodes; building them from steps is not served. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { DomainError, isDomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";
import type { TemplateView } from "../registry/registry.js";
import { addRoute, type Call, type E2bDeps, needOperator } from "./call.js";
import { envdVersion, sizeBody } from "./convert.js";
import { parseBody, refused } from "./parse.js";

export const operatorDoes = "templates are everybody's: whoever runs the registry changes them";

export function addTemplateRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const { templates } = deps.registry;
  const all = async () => (await templates.list()).map(templateBody);
  const one = ({ param }: Call) => templates.get(param("templateID"));
  const url = "/templates/:templateID";
  addRoute(app, deps, { method: "GET", url: "/templates", status: 200, handle: all });
  addRoute(app, deps, { method: "GET", url: "/v2/templates", status: 200, handle: all });
  addRoute(app, deps, {
    method: "GET",
    url,
    status: 200,
    handle: async (call) => buildsBody(await one(call)),
  });
  addRoute(app, deps, { method: "DELETE", url, status: 204, handle: (call) => remove(deps, call) });
  for (const path of [url, `/v2${url}`])
    addRoute(app, deps, {
      method: "PATCH",
      url: path,
      status: 200,
      async handle(call) {
        const names = namesOf(await one(call));
        refuseHiding(call);
        return { names };
      },
    });
  addRoute(app, deps, {
    method: "GET",
    url: "/templates/aliases/:alias",
    status: 200,
    async handle({ team, param }) {
      const entry = await templates.findAlias(team, param("alias"));
      if (entry === undefined) throw new DomainError("not_found", `alias ${quote(param("alias"))} not found`);
      return { templateID: entry.id, public: entry.kind === "template" };
    },
  });
}

function refuseHiding({ request }: Call): void {
  const body = parseBody(z.object({ public: z.boolean().nullish() }), request);
  if (body.public === false) throw refused("public: templates are everybody's and cannot be hidden");
}

/** One path for both: to E2B's clients a snapshot is a template. */
async function remove({ registry }: E2bDeps, { caller, team, param, signal }: Call): Promise<void> {
  const source = param("templateID");
  try {
    await registry.snapshots.delete(team, source);
  } catch (thrown) {
    if (!isDomainError(thrown, "not_found")) throw thrown;
    await registry.templates.get(source);
    needOperator(caller, "delete templates", operatorDoes);
    await registry.templates.delete(source, signal);
  }
}

/** A template has one build, which goes by the template's id in the form of a UUID. */
export function buildId({ template }: TemplateView): string {
  const hex = Buffer.from(template.id).toString("hex").slice(0, 32);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const namesOf = ({ template }: TemplateView) => [template.name, ...template.aliases];
const statusOf = ({ nodes }: TemplateView) => (nodes > 0 ? "ready" : "waiting");
const sizeOf = ({ size = { cpus: 0, memoryBytes: 0, diskBytes: 0 } }: TemplateView) => sizeBody(size);

function commonBody(view: TemplateView) {
  const { template } = view;
  const names = namesOf(view);
  return {
    templateID: template.id,
    public: true,
    aliases: names,
    names,
    createdAt: template.createdAt.toISOString(),
    updatedAt: template.updatedAt.toISOString(),
    // Not counted.
    lastSpawnedAt: null,
    spawnCount: 0,
  };
}

function templateBody(view: TemplateView) {
  return {
    ...commonBody(view),
    ...sizeOf(view),
    buildID: buildId(view),
    buildCount: 1,
    buildStatus: statusOf(view),
    createdBy: null,
    envdVersion,
  };
}

function buildsBody(view: TemplateView) {
  const common = commonBody(view);
  const { createdAt, updatedAt } = common;
  const times = { createdAt, updatedAt, finishedAt: updatedAt };
  const build = { buildID: buildId(view), status: statusOf(view), ...times, ...sizeOf(view), envdVersion };
  return { ...common, builds: [build] };
}
