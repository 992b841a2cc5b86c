// How much of an answer's text had been heard when so many samples of it were played.
//
// The transcript of a clause comes before its audio, so the audio received when a piece of text arrives is where that piece starts to
// sound. Within a clause the text is taken to run evenly. The last clause may not have all its audio yet: until the audio is done it is
// taken to last at least as long as its letters need at an ordinary pace.

const SAMPLES_PER_LETTER = 24000 * 0.06;

export class HeardText {
  constructor() {
    this.text = "";
    this.samples = 0;
    this.audioDone = false;
    this.starts = [];
  }

  addText(delta) {
    const last = this.starts.at(-1);
    if (!last || last.samples !== this.samples) this.starts.push({ samples: this.samples, letters: this.text.length });
    this.text += delta;
  }

  addAudio(samples) {
    this.samples += samples;
  }

  /** @returns {number} letters of `text` that were heard, at the end of a word */
  lettersAt(played) {
    if (this.audioDone && played >= this.samples) return this.text.length;
    const index = this.starts.findLastIndex((start) => start.samples <= played);
    if (index < 0 || played === 0) return 0;
    const start = this.starts[index];
    const end = this.starts[index + 1] ?? this.openEnd(start);
    const share = Math.min(1, (played - start.samples) / Math.max(1, end.samples - start.samples));
    return this.wordEnd(start.letters, start.letters + Math.round(share * (end.letters - start.letters)));
  }

  openEnd(start) {
    const letters = this.text.length;
    const guess = start.samples + (letters - start.letters) * SAMPLES_PER_LETTER;
    return { letters, samples: this.audioDone ? this.samples : Math.max(this.samples, guess) };
  }

  wordEnd(clauseStart, letters) {
    if (letters >= this.text.length) return this.text.length;
    const space = this.text.lastIndexOf(" ", letters);
    return Math.max(clauseStart, space + 1);
  }
}
