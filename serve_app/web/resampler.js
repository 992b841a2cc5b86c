// A streaming windowed-sinc resampler, for browsers that refuse a microphone in a context of another rate than the device's (Firefox).

const ZERO_CROSSINGS = 16;

/** Steps between two samples: a multiple of the 80 that 44.1 kHz to 24 kHz needs. */
const PHASES = 480;

/** The Blackman window over -1 to 1: sidelobes below -58 dB, so that what lies above the new Nyquist frequency does not come back. */
function blackman(x) {
  return 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

export class Resampler {
  /** @param {number} from samples a second of what is pushed @param {number} to of what comes out */
  constructor(from, to) {
    this.step = from / to;
    // The cut-off in cycles a sample of the input, doubled; 0.92 leaves the window room for its slope.
    this.cutoff = 0.92 * Math.min(1, to / from);
    this.reach = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this.kernels = [];
    this.held = new Float32Array(this.reach);
    this.position = this.reach;
  }

  /** @param {Float32Array} input any length @returns {Float32Array} what can be made of it so far, `reach` samples late */
  push(input) {
    const samples = new Float32Array(this.held.length + input.length);
    samples.set(this.held);
    samples.set(input, this.held.length);
    const output = [];
    for (; this.position + this.reach + 1 < samples.length; this.position += this.step) output.push(this.at(samples, this.position));
    const used = Math.floor(this.position) - this.reach;
    this.held = samples.slice(used);
    this.position -= used;
    return Float32Array.from(output);
  }

  at(samples, position) {
    const phase = Math.round((position % 1) * PHASES);
    const kernel = (this.kernels[phase] ??= this.kernel(phase / PHASES));
    const first = Math.floor(position) - this.reach;
    let sum = 0;
    for (let i = 0; i < kernel.length; i += 1) sum += samples[first + i] * kernel[i];
    return sum;
  }

  /** Weights of the samples from `reach` before to `reach` after the sample that lies `fraction` before the wanted point. */
  kernel(fraction) {
    const weights = Float32Array.from({ length: 2 * this.reach + 1 }, (_, i) => {
      const distance = i - this.reach - fraction;
      return Math.abs(distance) > this.reach ? 0 : sinc(distance * this.cutoff) * blackman(distance / this.reach);
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }
}
