// The conversation as the page knows it: server events, playback and time go in; what is to be done comes out as commands.
// No DOM, no sound, no network here.
//
// Commands: {play: {itemId, samples}} | {stop: true} | {send: clientEvent} | {call: {id, call_id, name, arguments}}.
//
// Rules:
// - An item is shown where it was first heard of: items here only ever come at the end.
// - The user starting to speak stops the playback at once. From that moment the answers that have sound left are silenced: sound of
//   theirs that still arrives is dropped. What the player then says it had played is final, and is what the server is told to truncate to.
// - The server's own ends of an interrupted response may come before or after speech_started; neither order loses the truncation.
// - Calls of functions are answered when their response is done, and the model then answers in words: one that has to call a function before
//   every answer would never come to it.
// - `phase` is set by what happens, never read off the items.

import { HeardText } from "./heard.js";
import { WIRE_RATE, fromBase64 } from "./pcm.js";
import { readTimings } from "./timings.js";

export const Phase = Object.freeze({
  IDLE: "idle",
  CONNECTING: "connecting",
  RESTING: "resting",
  HEARING: "hearing",
  THINKING: "thinking",
  SPEAKING: "speaking",
});

export const State = Object.freeze({ LIVE: "live", DONE: "done", INTERRUPTED: "interrupted", FAILED: "failed", GONE: "gone" });

class Item {
  constructor(id, role) {
    this.id = id;
    this.role = role;
    this.state = State.LIVE;
    this.heard = new HeardText();
    this.contentIndex = 0;
    this.played = 0;
    this.silenced = false;
    this.timings = null;
    this.note = "";
  }

  get text() {
    return this.heard.text;
  }

  set text(text) {
    this.heard.text = text;
  }

  /** An answer in text alone has nothing to be heard. */
  get lettersHeard() {
    const silentAnswer = this.heard.samples === 0 && this.state !== State.INTERRUPTED;
    return silentAnswer ? this.text.length : this.heard.lettersAt(this.played);
  }

  get isSounding() {
    return !this.silenced && this.played < this.heard.samples;
  }

  get hasSoundLeft() {
    return this.heard.samples > 0 && !(this.heard.audioDone && this.played >= this.heard.samples);
  }
}

export class Conversation {
  /** `onItem(item)` for each item that is new or changed, `onPhase(phase)`. */
  constructor(onItem, onPhase) {
    this.onItem = onItem;
    this.onPhase = onPhase;
    this.items = new Map();
    this.responseId = null;
    this.silencedResponseId = null;
    this.stopping = [];
    this.hearingId = null;
    this.hasSpoken = false;
    this.enter(Phase.CONNECTING);
  }

  enter(phase) {
    this.phase = phase;
    this.onPhase(phase);
  }

  /** @returns {object[]} commands */
  receive(event) {
    const handler = HANDLERS[event.type];
    return handler ? handler(this, event) ?? [] : [];
  }

  item(id, role) {
    if (!this.items.has(id)) this.items.set(id, new Item(id, role));
    return this.items.get(id);
  }

  /** The player is at `samples` of the item. */
  playedTo(itemId, samples) {
    const item = this.items.get(itemId);
    if (!item || item.silenced) return;
    item.played = samples;
    if (this.phase === Phase.THINKING) this.enter(Phase.SPEAKING);
    this.onItem(item);
  }

  /** The player has run empty. */
  playedAll() {
    if (this.phase === Phase.SPEAKING && this.responseId === null) this.enter(Phase.RESTING);
  }

  /** @returns {object[]} commands */
  silence() {
    const answers = [...this.items.values()].filter((item) => !item.silenced && item.hasSoundLeft);
    for (const item of answers) item.silenced = true;
    this.stopping.push(...answers);
    this.silencedResponseId = this.responseId;
    return [{ stop: true }];
  }

  /** The player was stopped, having played {itemId, played} of each item. @returns {object[]} commands */
  stoppedAt(playedOfItems) {
    const known = playedOfItems.filter(({ itemId }) => this.items.has(itemId));
    for (const { itemId, played } of known) this.items.get(itemId).played = played;
    const cut = this.stopping.filter((item) => item.hasSoundLeft);
    this.stopping = [];
    return cut.map((item) => this.cut(item));
  }

  cut(item) {
    item.state = State.INTERRUPTED;
    this.onItem(item);
    const playedMs = Math.floor((item.played * 1000) / WIRE_RATE);
    return {
      send: { type: "conversation.item.truncate", item_id: item.id, content_index: item.contentIndex, audio_end_ms: playedMs },
    };
  }

  /** The person wants quiet without speaking. @returns {object[]} commands */
  interrupt() {
    const cancel = this.responseId === null ? [] : [{ send: { type: "response.cancel", response_id: this.responseId } }];
    if (this.phase === Phase.SPEAKING || this.phase === Phase.THINKING) this.enter(Phase.RESTING);
    return [...cancel, ...this.silence()];
  }

  /** The function gave `output`. @returns {object[]} commands */
  called({ id, call_id, name }, output) {
    const item = this.item(id, "tool");
    item.text = `${name}: ${output}`;
    item.state = State.DONE;
    this.onItem(item);
    return [{ send: { type: "conversation.item.create", item: { type: "function_call_output", call_id, output } } }];
  }

  /** A start of speech of which nothing came. */
  forgetFalseStart() {
    const item = this.items.get(this.hearingId);
    this.hearingId = null;
    if (!item || item.text) return;
    item.state = State.GONE;
    this.items.delete(item.id);
    this.onItem(item);
  }

  finishResponse(response) {
    const items = (response.output ?? []).map((output) => this.items.get(output.id)).filter(Boolean);
    for (const item of items) this.finishItem(item, response);
    if (items.length > 0) items.at(-1).timings = readTimings(response);
    for (const item of items) this.onItem(item);
    if (this.responseId !== response.id) return;
    this.responseId = null;
    if (callsOf(response).length > 0) return;
    const answering = this.phase === Phase.THINKING || this.phase === Phase.SPEAKING;
    const userSpoke = response.status_details?.reason === "turn_detected";
    if (answering && !userSpoke && !items.some((item) => item.isSounding)) this.enter(Phase.RESTING);
  }

  finishItem(item, response) {
    if (response.status === "failed") {
      item.state = State.FAILED;
      item.note = response.status_details?.error?.message ?? "The answer failed.";
    } else if (response.status === "cancelled") item.state = State.INTERRUPTED;
    else if (item.state === State.LIVE) item.state = State.DONE;
  }
}

function callsOf(response) {
  return response.status === "completed" ? response.output.filter(({ type }) => type === "function_call") : [];
}

function addAnswerText(conversation, { item_id, content_index, delta }) {
  const item = conversation.item(item_id, "assistant");
  item.contentIndex = content_index;
  item.heard.addText(delta);
  conversation.onItem(item);
}

function addItem(conversation, { item }) {
  if (item.type !== "message" || item.role === "system") return;
  const shown = conversation.item(item.id, item.role);
  const typed = item.content.find((part) => part.type === "input_text");
  if (typed) {
    shown.text = typed.text;
    shown.state = State.DONE;
  }
  conversation.onItem(shown);
}

const HANDLERS = {
  "session.updated"(conversation) {
    if (conversation.phase === Phase.CONNECTING) conversation.enter(Phase.RESTING);
  },

  "input_audio_buffer.speech_started"(conversation, { item_id }) {
    conversation.forgetFalseStart();
    conversation.hearingId = item_id;
    conversation.enter(Phase.HEARING);
    conversation.onItem(conversation.item(item_id, "user"));
    return conversation.silence();
  },

  "input_audio_buffer.speech_stopped"(conversation) {
    conversation.enter(Phase.THINKING);
  },

  "input_audio_buffer.committed"(conversation) {
    conversation.hearingId = null;
  },

  "conversation.item.added": addItem,

  "conversation.item.input_audio_transcription.delta"(conversation, { item_id, delta }) {
    const item = conversation.item(item_id, "user");
    item.text += delta ?? "";
    conversation.onItem(item);
  },

  "conversation.item.input_audio_transcription.completed"(conversation, { item_id, transcript }) {
    const item = conversation.item(item_id, "user");
    item.text = transcript.trim();
    item.state = State.DONE;
    if (!item.text) item.note = "Nothing was understood.";
    conversation.onItem(item);
  },

  "conversation.item.input_audio_transcription.failed"(conversation, { item_id, error }) {
    const item = conversation.item(item_id, "user");
    item.state = State.FAILED;
    item.note = error.message ?? "This could not be transcribed.";
    conversation.onItem(item);
  },

  "response.created"(conversation, { response }) {
    conversation.responseId = response.id;
    if (conversation.phase !== Phase.HEARING) conversation.enter(Phase.THINKING);
  },

  "response.output_audio_transcript.delta": addAnswerText,
  "response.output_text.delta": addAnswerText,

  "response.output_audio.delta"(conversation, { response_id, item_id, content_index, delta }) {
    const item = conversation.item(item_id, "assistant");
    if (item.silenced || response_id === conversation.silencedResponseId) return [];
    const samples = fromBase64(delta);
    item.contentIndex = content_index;
    item.heard.addAudio(samples.length);
    conversation.hasSpoken = true;
    return [{ play: { itemId: item_id, samples } }];
  },

  "response.output_audio.done"(conversation, { item_id }) {
    const item = conversation.item(item_id, "assistant");
    if (!item.silenced) item.heard.audioDone = true;
  },

  "response.done"(conversation, { response }) {
    conversation.finishResponse(response);
    const calls = callsOf(response).map((call) => ({ call }));
    return calls.length > 0 ? [...calls, { send: { type: "response.create", response: { tool_choice: "none" } } }] : [];
  },
};
