// Joins the parts: the button, the microphone, the connection, the conversation, the player, the view.

import { Microphone, Player, SoundError, soundIsPossible } from "./audio.js";
import { Connection, realtimeAddress } from "./connection.js";
import { Conversation, Phase } from "./conversation.js";
import { toBase64 } from "./pcm.js";
import { TOOL_SETTINGS, answerCall } from "./tools.js";
import { View } from "./view.js";

const voiceChoice = document.getElementById("voice");
const toolChoice = document.getElementById("tools");
const keyField = document.getElementById("key");
const textField = document.getElementById("text");
const view = new View();

// Kept while the tab is open, and for no other.
keyField.value = sessionStorage.getItem("key") ?? "";
keyField.addEventListener("change", () => sessionStorage.setItem("key", keyField.value.trim()));

let conversation = null;
let isListening = false;

const connection = new Connection(receive, closed);
const player = new Player(
  (itemId, samples) => conversation?.playedTo(itemId, samples),
  () => conversation?.playedAll(),
);
const microphone = new Microphone((pcm, peak) => {
  connection.send({ type: "input_audio_buffer.append", audio: toBase64(pcm) });
  view.showLevel(peak);
});

function sessionSettings() {
  return {
    type: "realtime",
    output_modalities: [soundIsPossible ? "audio" : "text"],
    ...TOOL_SETTINGS[toolChoice.value],
    audio: {
      input: {
        format: { type: "audio/pcm", rate: 24000 },
        transcription: { model: "whisper-1" },
        turn_detection: { type: "semantic_vad", eagerness: "auto", create_response: true, interrupt_response: true },
      },
      output: { format: { type: "audio/pcm", rate: 24000 }, voice: voiceChoice.value },
    },
  };
}

async function connect() {
  if (connection.isOpen) return true;
  conversation = new Conversation(
    (item) => view.showItem(item),
    (phase) => view.showPhase(phase, isListening),
  );
  const opened = await connection.open(realtimeAddress(location.href), keyField.value.trim());
  if (opened) connection.send({ type: "session.update", session: sessionSettings() });
  return opened;
}

function receive(event) {
  if (event.type === "error" && event.error.code !== "response_cancel_not_active") view.showTrouble(`${event.error.message} You can go on talking.`);
  else if (event.type === "session.created") view.divide("A new conversation");
  perform(conversation.receive(event));
}

async function perform(commands) {
  for (const { play, stop, send, call } of commands) {
    if (call) await perform(conversation.called(call, answerCall(call.name)));
    if (play) player.play(play.itemId, play.samples);
    if (send) connection.send(send);
    if (stop) await perform(conversation.stoppedAt(await player.stop()));
  }
}

function closed(sentence) {
  if (sentence === null) return;
  stopListening();
  player.stop();
  view.showPhase(Phase.IDLE, false);
  view.showTrouble(sentence);
}

/** @returns {Promise<boolean>} false after saying what went wrong */
async function startSound(...parts) {
  try {
    for (const part of parts) await part.start();
    return true;
  } catch (error) {
    view.showTrouble(error instanceof SoundError ? error.message : `Sound could not be started: ${error.message}`);
    return false;
  }
}

async function startListening() {
  if (!(await startSound(player, microphone))) return;
  isListening = true;
  view.showButton(true);
  if (await connect()) view.showPhase(conversation.phase, true);
}

function stopListening() {
  microphone.stop();
  isListening = false;
  view.showLevel(0);
  view.showButton(false);
}

function hangUp() {
  stopListening();
  player.stop();
  connection.close();
  view.showPhase(Phase.IDLE, false);
}

async function say(text) {
  if (soundIsPossible && !(await startSound(player))) return;
  if (!(await connect())) return;
  await perform(conversation.interrupt());
  const item = { type: "message", role: "user", content: [{ type: "input_text", text }] };
  connection.send({ type: "conversation.item.create", item });
  connection.send({ type: "response.create" });
}

function changeTools() {
  connection.send({ type: "session.update", session: sessionSettings() });
}

async function changeVoice() {
  if (!connection.isOpen) return;
  if (!conversation.hasSpoken) {
    connection.send({ type: "session.update", session: sessionSettings() });
    return;
  }
  // The voice is fixed after the first audio of a session, so another one needs another session.
  player.stop();
  connection.close();
  await connect();
}

document.getElementById("talk").addEventListener("click", () => (isListening ? hangUp() : startListening()));
toolChoice.addEventListener("change", changeTools);
voiceChoice.addEventListener("change", changeVoice);
document.getElementById("type").addEventListener("submit", (submission) => {
  submission.preventDefault();
  const text = textField.value.trim();
  textField.value = "";
  if (text) say(text);
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && conversation && connection.isOpen) perform(conversation.interrupt());
});
