// Turns what the microphone gives into frames of 20 ms, 24 kHz, 16 bit, each with its peak for the level display.

import { WIRE_RATE } from "./pcm.js";
import { Resampler } from "./resampler.js";

const FRAME_SAMPLES = WIRE_RATE / 50;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = sampleRate === WIRE_RATE ? null : new Resampler(sampleRate, WIRE_RATE);
    this.startFrame();
  }

  startFrame() {
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.filled = 0;
    this.peak = 0;
  }

  process([channels]) {
    if (channels.length > 0) this.take(this.resampler ? this.resampler.push(channels[0]) : channels[0]);
    return true;
  }

  take(samples) {
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.frame[this.filled] = Math.round(clipped * 32767);
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.filled += 1;
      if (this.filled === FRAME_SAMPLES) this.sendFrame();
    }
  }

  sendFrame() {
    this.port.postMessage({ pcm: this.frame.buffer, peak: this.peak }, [this.frame.buffer]);
    this.startFrame();
  }
}

registerProcessor("microphone", Microphone);
