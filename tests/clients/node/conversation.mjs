// @openai/agents-realtime, unchanged: its own session, transport, settings and tools; only the address is ours.
// usage: node conversation.mjs WS_URL SENTENCE.pcm BYTES; what the application saw goes to stdout, one JSON object a line.
// The long answer is spoken over when so many bytes of it are there.
import { readFileSync } from 'node:fs';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const [url, sentence, wellInto] = process.argv.slice(2);
const wellIntoIt = Number(wellInto);
const CHUNK_BYTES = 4800;
const PATIENCE_MS = 60_000;

const seen = [];
let look = () => {};
const see = (kind, what = {}) => {
  seen.push({ kind, ...what });
  process.stdout.write(`${JSON.stringify({ kind, ...what })}\n`);
  look();
};
const until = (isThere) =>
  new Promise((resolve) => {
    look = () => isThere() && resolve();
    look();
  });
const times = (kind) => seen.filter((one) => one.kind === kind).length;

const temperature = tool({
  name: 'temperature',
  description: 'How warm it is in a city.',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    see('tool', { city });
    return `21 degrees in ${city}`;
  },
});
const agent = new RealtimeAgent({ name: 'Guide', instructions: 'You are a guide.', tools: [temperature] });
const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket() });

session.on('error', ({ error }) => see('error', { error: error instanceof Error ? error.stack : error }));
session.on('audio', ({ data }) => see('audio', { bytes: data.byteLength }));
session.on('audio_interrupted', () => see('audio_interrupted'));
session.on('agent_tool_end', (_context, _agent, _tool, result) => see('tool_end', { result }));
session.on('history_updated', (history) => {
  const messages = history.filter((item) => item.type === 'message');
  see('history', { said: messages.map(({ role, content }) => [role, content[0]?.transcript ?? content[0]?.text ?? '']) });
});
session.on('transport_event', ({ type, response, item, item_id }) => see('event', { type, response, id: item?.id ?? item_id }));

const says = () => {
  const pcm = readFileSync(sentence);
  for (let at = 0; at < pcm.length; at += CHUNK_BYTES) {
    session.sendAudio(new Uint8Array(pcm.subarray(at, at + CHUNK_BYTES)).buffer);
  }
};
const bytes = () => seen.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
const turnsDone = () => seen.filter((one) => one.type === 'response.done').length;
// The client asks for an item that was truncated, to learn which words are left of it.
const cutIsKnown = () => {
  const cut = seen.findLastIndex((one) => one.type === 'conversation.item.truncated');
  return cut >= 0 && seen.slice(cut).some((one) => one.type === 'conversation.item.retrieved' && one.id === seen[cut].id);
};

const patience = setTimeout(() => {
  see('error', { error: 'the conversation did not go on' });
  process.exit(1);
}, PATIENCE_MS);

await session.connect({ url, apiKey: 'none' });
says();
await until(() => turnsDone() === 1);
const heard = bytes();
says();
await until(() => bytes() > heard + wellIntoIt);
const interrupted = times('audio_interrupted');
see('interrupts');
says();
await until(() => times('audio_interrupted') > interrupted && turnsDone() === 4 && cutIsKnown());
see('end');
clearTimeout(patience);
session.close();
