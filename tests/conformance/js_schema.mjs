// usage: node js_schema.mjs FOLDER < events; FOLDER has node_modules with @openai/agents-realtime. Reads server events, one JSON object a
// line, and answers with {at, complaint} for each that does not fit the package's own schema.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(process.argv[2], 'package.json'));
const entry = require.resolve('@openai/agents-realtime');
const schemas = await import(pathToFileURL(join(dirname(entry), 'openaiRealtimeEvents.mjs')));
const known = new Set(schemas.realtimeServerEventSchema.options.map((one) => one.shape.type.value));

let at = -1;
for await (const line of createInterface({ input: process.stdin })) {
  at += 1;
  const event = JSON.parse(line);
  // The package passes on what it does not know; what it knows has to fit.
  const schema = known.has(event.type) ? schemas.realtimeServerEventSchema : schemas.genericEventSchema;
  const { success, error } = schema.safeParse(event);
  if (!success) {
    const complaint = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    process.stdout.write(`${JSON.stringify({ at, complaint })}\n`);
  }
}
