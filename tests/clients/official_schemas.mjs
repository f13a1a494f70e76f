// usage: node official_schemas.mjs CONFORMANCE_INDEX_JS
//
// Prints the official JSON schemas of the protocol, {revision: schema}, as the conformance suite carries them: object
// literals in its one bundled file, each told by what only its revision defines.
import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";

const text = readFileSync(process.argv[2], "utf8");

/** The object literal that begins at `start`. */
function literal(start) {
  let depth = 0;
  let quote = null;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (quote) {
      if (char === "\\") at++;
      else if (char === quote) quote = null;
    } else if (char === "`" || char === '"' || char === "'") quote = char;
    else if (char === "{" || char === "[") depth++;
    else if ((char === "}" || char === "]") && --depth === 0) return text.slice(start, at + 1);
  }
  throw new Error("an object that does not end");
}

const found = {};
for (const match of text.matchAll(/\{\$schema:`https:\/\/json-schema\.org\/draft\/2020-12\/schema`,\$defs:/g)) {
  const schema = runInNewContext(`(${literal(match.index)})`);
  if (schema.$defs?.JSONRPCMessage) found[schema.$defs.DiscoverRequest ? "2026-07-28" : "2025-11-25"] = schema;
}
if (Object.keys(found).length !== 2) throw new Error(`not both schemas: ${Object.keys(found)}`);
console.log(JSON.stringify(found));
