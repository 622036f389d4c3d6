/** What a piece of JavaScript becomes so that one after the other can run in one global scope. Pure. */
"use strict";
const acorn = require("/usr/share/nodejs/acorn");

const options = {
  ecmaVersion: "latest",
  sourceType: "module",
  allowAwaitOutsideFunction: true,
  allowHashBang: true,
};

/**
 * `import` becomes `await import()`; what the top level declares becomes global, and may be declared again. Code that
 * awaits at the top level becomes a call of an async function, whose value is that of a last expression.
 */
function compile(code) {
  const { body } = acorn.parse(code, options);
  const isAsync = body.some((node) => node.type === "ImportDeclaration" || awaits(node));
  if (!isAsync) return apply(code, body.flatMap(globalEdits));
  const last = body.at(-1);
  const returned = last.type === "ExpressionStatement" ? [insert(last.start, "return ")] : [];
  const text = apply(code, [...body.flatMap((node) => asyncEdits(code, node)), ...returned]);
  const names = [...new Set(body.flatMap(declaredBy))];
  const functions = body.filter(({ type }) => type === "FunctionDeclaration").map(({ id }) => id.name);
  const declared = names.length === 0 ? "" : `var ${names.join(", ")}; `;
  const shared = functions.map((name) => `globalThis.${name} = ${name}; `).join("");
  return `${declared}(async () => { ${shared}${text}\n})()`;
}

const insert = (at, text) => ({ start: at, end: at, text });

/** For code that runs as a script: declarations of `var` are global and may come again. */
function globalEdits({ type, start, kind, id }) {
  if (type === "VariableDeclaration") return [{ start, end: start + kind.length, text: "var" }];
  return type === "ClassDeclaration" ? [insert(start, `var ${id.name} = `)] : [];
}

/** For code in a function: declarations become assignments to what is declared outside. */
function asyncEdits(code, node) {
  const { type, start, end } = node;
  if (type === "ImportDeclaration") return [{ start, end, text: importOf(node) }];
  if (type === "ClassDeclaration") return [insert(start, `${node.id.name} = `), insert(end, ";")];
  if (type !== "VariableDeclaration") return [];
  const parts = node.declarations.map((one) => {
    const text = code.slice(one.start, one.end);
    return one.init === null ? `${text} = undefined` : text;
  });
  return [{ start, end, text: `;(${parts.join(", ")});` }];
}

function declaredBy(node) {
  if (node.type === "ImportDeclaration") return node.specifiers.map(({ local }) => local.name);
  if (node.type === "ClassDeclaration") return [node.id.name];
  return node.type === "VariableDeclaration" ? node.declarations.flatMap(({ id }) => namesOf(id)) : [];
}

function importOf({ specifiers, source }) {
  const from = `await import(${source.raw})`;
  const whole = specifiers.find(({ type }) => type === "ImportNamespaceSpecifier");
  const named = specifiers.filter((specifier) => specifier !== whole);
  const parts = named.map(({ type, imported, local }) =>
    type === "ImportDefaultSpecifier"
      ? `default: ${local.name}`
      : `${imported.raw ?? imported.name}: ${local.name}`,
  );
  const destructured = parts.length === 0 ? "" : ` ({ ${parts.join(", ")} } = ${whole?.local.name ?? from});`;
  if (whole !== undefined) return `${whole.local.name} = ${from};${destructured}`;
  return destructured === "" ? `${from};` : `;${destructured}`;
}

/** Names that a pattern binds. */
function namesOf(pattern) {
  switch (pattern?.type) {
    case "Identifier":
      return [pattern.name];
    case "ObjectPattern":
      return pattern.properties.flatMap((property) => namesOf(property.value ?? property.argument));
    case "ArrayPattern":
      return pattern.elements.flatMap(namesOf);
    case "AssignmentPattern":
      return namesOf(pattern.left);
    case "RestElement":
      return namesOf(pattern.argument);
    default:
      return [];
  }
}

/** Outside of functions in it. */
function awaits(node) {
  if (node === null || typeof node !== "object") return false;
  if (Array.isArray(node)) return node.some(awaits);
  if (node.type === "AwaitExpression" || (node.type === "ForOfStatement" && node.await)) return true;
  if (/Function/.test(node.type ?? "")) return false;
  return Object.values(node).some(awaits);
}

function apply(code, edits) {
  let text = "";
  let at = 0;
  for (const { start, end, text: replacement } of [...edits].sort(
    (a, b) => a.start - b.start || a.end - b.end,
  )) {
    text += code.slice(at, start) + replacement;
    at = end;
  }
  return text + code.slice(at);
}

module.exports = { compile };
