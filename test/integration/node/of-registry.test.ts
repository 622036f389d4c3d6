/** A real node, held to what stands in for nodes where there have to be many. */
import { registryNodeContract } from "../../contract/registry-node.js";
import { openBox } from "../../support/box.js";

const box = openBox("of-registry");
registryNodeContract("A real one", () => box.node);
