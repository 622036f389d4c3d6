/** Tags: other names of a template, `name:tag`. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { defaultTag, parseSourceName } from "../fleet/source-name.js";
import { addRoute, type E2bDeps, needOperator } from "./call.js";
import { parseBody } from "./parse.js";
import { buildId, operatorDoes } from "./templates.js";

const tags = z
  .array(z.string().regex(/^[a-z0-9_.-]{1,63}$/, "a tag has 1 to 63 of a-z, 0-9, '_', '.' and '-'"))
  .min(1)
  .max(64);
const addSchema = z.object({ target: z.string(), tags });
const removeSchema = z.object({ name: z.string(), tags });

export function addTagRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const { templates } = deps.registry;
  addRoute(app, deps, {
    method: "POST",
    url: "/templates/tags",
    status: 201,
    async handle({ caller, request }) {
      needOperator(caller, "tag templates", operatorDoes);
      const body = parseBody(addSchema, request);
      return { tags: body.tags, buildID: buildId(await templates.addTags(body.target, body.tags)) };
    },
  });
  addRoute(app, deps, {
    method: "DELETE",
    url: "/templates/tags",
    status: 204,
    async handle({ caller, request }) {
      needOperator(caller, "take tags from templates", operatorDoes);
      const body = parseBody(removeSchema, request);
      await templates.removeTags(body.name, body.tags);
    },
  });
  addRoute(app, deps, {
    method: "GET",
    url: "/templates/:templateID/tags",
    status: 200,
    async handle({ param }) {
      const view = await templates.get(param("templateID"));
      const given = view.template.aliases.flatMap((alias) => parseSourceName(alias).tag ?? []);
      const facts = { buildID: buildId(view), createdAt: view.template.createdAt.toISOString() };
      return [defaultTag, ...given].map((tag) => ({ tag, ...facts }));
    },
  });
}
