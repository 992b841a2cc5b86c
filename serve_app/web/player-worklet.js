// Plays queued pieces one after the other and knows how many samples of which item were handed to the loudspeaker.
// In: {play: {itemId, samples: Int16Array}} | {stop: true}.  Out: {progress: {itemId, played}} | {drained: true} | {stopped: [{itemId, played}]}, every item since the last stop.

const PROGRESS_EVERY_SAMPLES = 1200;

const FADE_SAMPLES = 96;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.played = new Map();
    this.last = 0;
    this.fade = 0;
    this.unreported = 0;
    this.port.onmessage = ({ data }) => (data.stop ? this.stop() : this.add(data.play));
  }

  add({ itemId, samples }) {
    this.queue.push({ itemId, samples, at: 0 });
    if (!this.played.has(itemId)) this.played.set(itemId, 0);
  }

  stop() {
    this.port.postMessage({ stopped: [...this.played].map(([itemId, played]) => ({ itemId, played })) });
    this.played.clear();
    this.queue = [];
    this.unreported = 0;
    this.fade = FADE_SAMPLES;
  }

  process(_inputs, [[output]]) {
    if (this.queue.length > 0) this.report(this.fill(output), output.length);
    else if (this.fade > 0) this.fadeOut(output);
    return true;
  }

  /** Returns the item that sounded last. */
  fill(output) {
    let itemId = null;
    for (let filled = 0; filled < output.length && this.queue.length > 0; ) {
      const piece = this.queue[0];
      const count = Math.min(output.length - filled, piece.samples.length - piece.at);
      for (let i = 0; i < count; i += 1) output[filled + i] = piece.samples[piece.at + i] / 32768;
      filled += count;
      piece.at += count;
      itemId = piece.itemId;
      this.played.set(itemId, this.played.get(itemId) + count);
      this.last = output[filled - 1];
      if (piece.at === piece.samples.length) this.queue.shift();
    }
    return itemId;
  }

  // A wave that is cut in the middle clicks: its last value runs down to nothing instead.
  fadeOut(output) {
    for (let i = 0; i < output.length && this.fade > 0; i += 1, this.fade -= 1) output[i] = (this.last * this.fade) / FADE_SAMPLES;
    if (this.fade === 0) this.last = 0;
  }

  report(itemId, samples) {
    this.unreported += samples;
    const drained = this.queue.length === 0;
    if (drained || this.unreported >= PROGRESS_EVERY_SAMPLES) {
      this.unreported = 0;
      this.port.postMessage({ progress: { itemId, played: this.played.get(itemId) } });
    }
    if (drained) this.port.postMessage({ drained: true });
  }
}

registerProcessor("player", Player);
