// A client of the TypeScript SDK: does what an agent does first, and prints what came of it as JSON.
// Usage: node client.mjs '{"url": …, "key": …}' or '{"command": …, "args": […], "env": {…}}'
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const { url, key, command, args, env } = JSON.parse(process.argv[2]);
const transport = url
  ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } })
  : new StdioClientTransport({ command, args, env, stderr: "ignore" });
const client = new Client({ name: "weave-nn-test", version: "1.0.0" });

const told = new Promise((resolve, reject) => {
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => resolve(params.uri));
  setTimeout(() => reject(new Error("was not told of the change within 20 s")), 20_000).unref();
});

await client.connect(transport);
const call = async (name, values, options) => {
  const { isError, content, structuredContent } = await client.callTool({ name, arguments: values }, undefined, options);
  if (isError) throw new Error(`${name}: ${JSON.stringify(content)}`);
  return structuredContent;
};

const { tools } = await client.listTools();
const progress = [];
const read = await call(
  "read_notes",
  { paths: ["Welcome.md", "Notes/Basil.md"] },
  { onprogress: (step) => progress.push(step.progress) },
);
const found = await call("search_notes", { q: "epoxy" });
const { resources } = await client.listResources();
const { contents } = await client.readResource({ uri: resources.find(({ name }) => name.includes("Käse")).uri });
const { completion } = await client.complete({
  ref: { type: "ref/resource", uri: "vault://{+path}" },
  argument: { name: "path", value: "boat" },
});
const { messages } = await client.getPrompt({ name: "connect_note", arguments: { note: "Notes/Basil.md" } });

const path = `From TypeScript over ${url ? "http" : "stdio"}.md`;
const uri = `vault://${encodeURIComponent(path)}`;
await client.subscribeResource({ uri });
await call("write_note", { path, content: "written by a client of the TypeScript SDK" });
const updated = await told;
await client.unsubscribeResource({ uri });
const refused = await client.readResource({ uri: "vault://../state/api-key" }).catch(({ code }) => code);
await client.close();

console.log(
  JSON.stringify({
    server: client.getServerVersion().name,
    tools: tools.map(({ name }) => name),
    read: read.notes.map((note) => note.path),
    progress,
    found: found.hits.map((hit) => hit.path),
    resources: resources.length,
    text: contents[0].text,
    completed: completion.values,
    links: messages.filter(({ content }) => content.type === "resource_link").map(({ content }) => content.name),
    told: updated === uri,
    refused,
  }),
);
