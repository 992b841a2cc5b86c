// @openai/agents-realtime, unchanged: its own session, transport, settings and tools; only the address is ours.
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';
import { Events, Microphone, Speaker, report, stage } from './application.mjs';

const events = new Events();
const speaker = new Speaker();
const calls = [];

const temperature = tool({
  name: 'temperature',
  description: 'How warm it is in a city.',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    calls.push({ city });
    choosesTool('none');
    return stage.result;
  },
});
const agent = new RealtimeAgent({ name: 'Guide', instructions: stage.instructions, tools: [temperature] });
const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket(), config: { toolChoice: 'none' } });
const microphone = new Microphone((pcm) => session.sendAudio(new Uint8Array(pcm).buffer));

// The client sends all of the session with it, and what it is not given as it is by default.
function choosesTool(toolChoice) {
  const { name, description, parameters } = temperature;
  const tools = [{ type: 'function', name, description, parameters, strict: true }];
  session.transport.updateSessionConfig({ instructions: stage.instructions, tools, toolChoice });
}

let history = [];
session.on('error', ({ error }) => events.fails(error));
session.on('audio', ({ data }) => {
  speaker.plays(data.byteLength);
  events.see('audio');
});
session.on('audio_interrupted', () => events.see('audio_interrupted'));
session.on('agent_tool_end', (_context, _agent, _tool, result) => events.see('tool_end', { result }));
session.on('history_updated', (items) => {
  const messages = items.filter(({ type }) => type === 'message');
  history = messages.map(({ role, content }) => [role, content[0]?.transcript ?? content[0]?.text ?? '']);
});
session.on('transport_event', ({ type, response, item, item_id }) => events.see(type, { response, id: item?.id ?? item_id }));

// The client asks for an item that was truncated, to learn which words are left of it.
function cutIsKnown() {
  const cut = events.all.findLastIndex(({ type }) => type === 'conversation.item.truncated');
  return cut >= 0 && events.all.slice(cut).some(({ type, id }) => type === 'conversation.item.retrieved' && id === events.all[cut].id);
}

// A short story has been sent and played whole before the user speaks: nothing is left to cut.
const storyIsOver = () => events.endings[3] === 'completed';

await report(events, async () => {
  await session.connect({ url: `${stage.url.replace('http', 'ws')}/v1/realtime?model=gpt-realtime`, apiKey: 'none' });
  microphone.start();
  microphone.says('question');
  await events.until(() => events.endings.length === 1);
  const firstAnswerBytes = speaker.bytes;
  await speaker.isQuiet();

  choosesTool('required');
  microphone.says('asks_for_tool');
  await events.until(() => events.endings.length === 3);
  await speaker.isQuiet();

  const heard = speaker.bytes;
  microphone.says('asks_for_story');
  await events.until(() => speaker.bytes > heard + stage.wellIntoBytes);
  const before = events.of('audio_interrupted').length;
  microphone.says('interruption');
  await events.until(() => events.endings.length === 5 && (cutIsKnown() || storyIsOver()));
  microphone.stop();
  session.close();
  return {
    history,
    arguments: calls,
    results: events.of('tool_end').map(({ result }) => result),
    first_answer_bytes: firstAnswerBytes,
    interrupted: events.of('audio_interrupted').length > before,
    truncated: cutIsKnown(),
  };
});
