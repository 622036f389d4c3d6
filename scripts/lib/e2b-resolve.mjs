// Loaded before E2B's suite: every name under E2B_DOMAIN is this machine.
import dns from "node:dns";

const domain = (process.env.E2B_DOMAIN ?? "").replace(/:\d+$/, "");
const lookup = dns.lookup;

function here(name, options, callback) {
  const done = typeof options === "function" ? options : callback;
  if (name !== domain && !name.endsWith(`.${domain}`)) return lookup(name, options, callback);
  const all = typeof options === "object" && options !== null && options.all === true;
  process.nextTick(() =>
    all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
  );
}

dns.lookup = here;
