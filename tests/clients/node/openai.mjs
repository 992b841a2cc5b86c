// openai-node, unchanged: its own connection over `ws`; only the address is ours. It speaks wss alone.
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { Events, Microphone, Speaker, report, stage } from './application.mjs';

const events = new Events();
const speaker = new Speaker();
const calls = [];

const client = new OpenAI({ baseURL: `${stage.url}/v1`, apiKey: 'none' });
const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime' }, client);
const microphone = new Microphone((pcm) => realtime.send({ type: 'input_audio_buffer.append', audio: pcm.toString('base64') }));

realtime.on('error', (error) => events.fails(error));
realtime.on('event', (event) => {
  if (event.type === 'response.output_audio.delta') speaker.plays(Buffer.from(event.delta, 'base64').length);
  events.see(event.type, event);
});

const choosesTool = (choice) => realtime.send({ type: 'session.update', session: { type: 'realtime', tool_choice: choice } });

// The call is there: the result goes to the server, which is to answer with it and without another call.
function usesTheTool() {
  const { call_id, arguments: given } = events.of('response.function_call_arguments.done').at(-1);
  calls.push(JSON.parse(given));
  choosesTool('none');
  realtime.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id, output: stage.result } });
  realtime.send({ type: 'response.create' });
}

function wasCutShort() {
  const { item_id } = events.of('response.output_audio.delta').at(-1);
  realtime.send({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 1000 });
  realtime.send({ type: 'conversation.item.retrieve', item_id });
}

// In the order of the items; what was cut, as the server has it.
function history() {
  const words = new Map();
  for (const one of events.of('conversation.item.input_audio_transcription.completed')) words.set(one.item_id, one.transcript);
  for (const one of events.of('response.output_audio_transcript.done')) words.set(one.item_id, one.transcript);
  for (const { item } of events.of('conversation.item.retrieved')) words.set(item.id, item.content[0].transcript);
  const messages = events.of('conversation.item.added').filter(({ item }) => item.type === 'message');
  return messages.map(({ item }) => [item.role, words.get(item.id) ?? '']);
}

await report(events, async () => {
  await events.until(() => events.of('session.created').length > 0);
  realtime.send({
    type: 'session.update',
    session: {
      type: 'realtime',
      instructions: stage.instructions,
      tools: [{ type: 'function', name: 'temperature', description: 'How warm it is in a city.', parameters: stage.parameters }],
      tool_choice: 'none',
      audio: {
        input: { turn_detection: { type: 'server_vad' }, transcription: { model: 'gpt-4o-mini-transcribe' } },
        output: { voice: 'marin' },
      },
    },
  });
  microphone.start();
  microphone.says('question');
  await events.until(() => events.endings.length === 1);
  const firstAnswerBytes = speaker.bytes;
  await speaker.isQuiet();

  choosesTool('required');
  microphone.says('asks_for_tool');
  await events.until(() => events.endings.length === 2);
  usesTheTool();
  await events.until(() => events.endings.length === 3);
  await speaker.isQuiet();

  const heard = speaker.bytes;
  microphone.says('asks_for_story');
  await events.until(() => speaker.bytes > heard + stage.wellIntoBytes);
  const speeches = () => events.of('input_audio_buffer.speech_started').length;
  const before = speeches();
  microphone.says('interruption');
  await events.until(() => speeches() > before);
  wasCutShort();
  await events.until(() => events.endings.length === 5 && events.of('conversation.item.retrieved').length > 0);
  microphone.stop();
  realtime.close();
  const outputs = events.of('conversation.item.done').filter(({ item }) => item.type === 'function_call_output');
  return {
    history: history(),
    arguments: calls,
    results: outputs.map(({ item }) => item.output),
    first_answer_bytes: firstAnswerBytes,
    interrupted: speeches() > before,
    truncated: events.of('conversation.item.truncated').length > 0,
  };
});
