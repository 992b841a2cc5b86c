// The main thread's ends of the two worklets.

import { WIRE_RATE } from "./pcm.js";

/** What went wrong with sound, in a sentence for the person in front of the page. */
export class SoundError extends Error {}

const MICROPHONE_TROUBLE = {
  NotAllowedError: "The microphone was refused: allow it in the browser's address bar, then press the button again, or type instead.",
  NotFoundError: "No microphone was found: plug one in, then press the button again, or type instead.",
  NotReadableError: "Another program holds the microphone: close it, then press the button again, or type instead.",
};

const NOT_SECURE =
  "Browsers give sound only to https or to http://127.0.0.1: open the page at such an address, or type and read the answers.";

const NO_FILES = "The server does not answer: see that it is running (make serve), then reload the page.";

/** Browsers keep the microphone and AudioWorklet from pages that came over plain http from elsewhere. */
export const soundIsPossible = window.isSecureContext && "AudioWorkletNode" in window;

async function openContext(worklet, options) {
  const context = new AudioContext({ latencyHint: "interactive", ...options });
  try {
    await context.audioWorklet.addModule(new URL(worklet, import.meta.url));
  } catch (error) {
    throw error.name === "AbortError" ? new SoundError(NO_FILES) : error;
  }
  return context;
}

async function askForMicrophone() {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
  } catch (error) {
    throw new SoundError(MICROPHONE_TROUBLE[error.name] ?? `The microphone could not be opened (${error.message}): type instead.`);
  }
}

/** The microphone as 20 ms frames. `onFrame(pcm: ArrayBuffer, peak: number 0 to 1)`. */
export class Microphone {
  constructor(onFrame) {
    this.onFrame = onFrame;
  }

  async start() {
    this.stream = await askForMicrophone();
    try {
      await this.listen(await openContext("microphone-worklet.js", { sampleRate: WIRE_RATE }));
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
      // Firefox joins a stream and a context of one rate only; the worklet then resamples.
      await this.context.close();
      await this.listen(await openContext("microphone-worklet.js", {}));
    }
  }

  async listen(context) {
    this.context = context;
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => this.onFrame(data.pcm, data.peak);
    context.createMediaStreamSource(this.stream).connect(node);
    await context.resume();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close();
    this.context = null;
  }
}

/** The loudspeaker. `onProgress(itemId, samples played of it)`, `onDrained()` when the queue has run empty. */
export class Player {
  constructor(onProgress, onDrained) {
    this.onProgress = onProgress;
    this.onDrained = onDrained;
    this.waitingForStop = [];
  }

  /** Must be called from a press or a key: browsers start sound only then. */
  async start() {
    if (!soundIsPossible) throw new SoundError(NOT_SECURE);
    if (!this.node) {
      this.context = await openContext("player-worklet.js", { sampleRate: WIRE_RATE });
      this.node = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
      this.node.port.onmessage = ({ data }) => this.hear(data);
      this.node.connect(this.context.destination);
    }
    await this.context.resume();
  }

  hear({ progress, drained, stopped }) {
    if (progress) this.onProgress(progress.itemId, progress.played);
    if (drained) this.onDrained();
    if (stopped) this.waitingForStop.shift()?.(stopped);
  }

  /** @param {Int16Array} samples at 24 kHz; the array is given away */
  play(itemId, samples) {
    this.node.port.postMessage({ play: { itemId, samples } }, [samples.buffer]);
  }

  /** Silence at once. Resolves to [{itemId, played}] of the items since the last stop. */
  stop() {
    if (!this.node) return Promise.resolve([]);
    return new Promise((resolve) => {
      this.waitingForStop.push(resolve);
      this.node.port.postMessage({ stop: true });
    });
  }
}
