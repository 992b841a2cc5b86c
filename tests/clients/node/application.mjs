// What an application brings to a client: a microphone that never stops, a speaker, and the patience to wait for what it wants to see.
// usage of each script: node SCRIPT.mjs '{"url", "speed", "wellIntoBytes", "patienceMs", "instructions", "result", "utterances": {name: FILE.pcm}}'
// What the application has seen at the end goes to stdout as one JSON object, in the shape of `Seen` of script.py.
import { readFileSync } from 'node:fs';

export const stage = JSON.parse(process.argv[2]);
const BYTES_A_SECOND = 48_000;
const FRAME_BYTES = BYTES_A_SECOND / 10;

/** Silence, but for what is said. `send` takes a Buffer. */
export class Microphone {
  #rest = Buffer.alloc(0);
  #timer = null;

  constructor(send) {
    this.send = send;
  }

  says(name) {
    this.#rest = Buffer.concat([this.#rest, readFileSync(stage.utterances[name])]);
  }

  start() {
    let due = performance.now();
    const next = () => {
      const frame = Buffer.alloc(FRAME_BYTES);
      this.#rest.copy(frame);
      this.#rest = this.#rest.subarray(FRAME_BYTES);
      this.send(frame);
      due += 100 / stage.speed;
      this.#timer = setTimeout(next, due - performance.now());
    };
    next();
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/** Nobody hears it, but it takes the time that the sound takes. */
export class Speaker {
  bytes = 0;
  #endsAt = 0;

  plays(size) {
    this.bytes += size;
    this.#endsAt = Math.max(performance.now(), this.#endsAt) + (size * 1000) / BYTES_A_SECOND;
  }

  /** Until all has been played: a polite user speaks no sooner. */
  isQuiet() {
    return new Promise((resolve) => setTimeout(resolve, this.#endsAt - performance.now()));
  }
}

/** What the client gave, in order, and how often it gave each. */
export class Events {
  all = [];
  errors = [];
  #look = () => {};

  see(type, what = {}) {
    this.all.push({ ...what, type });
    this.#look();
  }

  fails(error) {
    this.errors.push(error instanceof Error ? error.stack : error);
    this.#look();
  }

  of(type) {
    return this.all.filter((one) => one.type === type);
  }

  get endings() {
    return this.of('response.done').map(({ response }) => response.status);
  }

  until(isThere) {
    return new Promise((resolve) => {
      this.#look = () => (this.errors.length > 0 || isThere()) && resolve();
      this.#look();
    });
  }

  /** In few words, where the conversation did not go on. */
  get names() {
    return this.all.map(({ type }) => type).filter((type, at, types) => type !== types[at - 1]);
  }
}

/** Ends the process when `converse` has given what was seen, or when patience is at its end. */
export async function report(events, converse) {
  const tell = (seen, code) => process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(code));
  setTimeout(() => tell({ stuck: events.names, errors: events.errors }, 1), stage.patienceMs);
  const seen = await converse();
  tell({ ...seen, endings: events.endings, errors: events.errors }, 0);
}
