import { beforeEach } from "vitest";
import type { Node } from "../../src/node/node.js";
import { registryNodeContract } from "../../test/contract/registry-node.js";
import { lightNode } from "../../test/support/light-node.js";

let node: Node;
beforeEach(() => {
  node = lightNode({ templates: ["base"] });
});
registryNodeContract("One in memory", () => node);
