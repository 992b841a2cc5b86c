// The page's elements. Text goes in as text nodes and figures as custom properties, so that a strict content security policy holds.

import { Phase, State } from "./conversation.js";
import { element, inWords } from "./elements.js";
import { waterfall } from "./waterfall.js";

const STATUS = {
  [Phase.IDLE]: "Press the button and ask something.",
  [Phase.CONNECTING]: "Connecting …",
  [Phase.HEARING]: "Listening to you",
  [Phase.THINKING]: "Thinking …",
  [Phase.SPEAKING]: "Speaking. Talk over it to interrupt, or press Esc.",
};

const RESTING = { listening: "Listening. Go ahead.", typing: "Connected. Type a question, or press the button to talk." };

const WHO = { user: "You", assistant: "Sparkvox", tool: "Tool" };

const SHORTEST_SCALE_MS = 1000;

export class View {
  constructor(root = document) {
    this.log = root.getElementById("log");
    this.welcome = root.getElementById("welcome");
    this.status = root.getElementById("status");
    this.announcer = root.getElementById("announcer");
    this.button = root.getElementById("talk");
    this.label = root.getElementById("talk-label");
    this.rows = new Map();
    this.scaleMs = SHORTEST_SCALE_MS;
  }

  showPhase(phase, isListening) {
    document.body.dataset.phase = phase;
    delete document.body.dataset.trouble;
    this.status.textContent = phase === Phase.RESTING ? RESTING[isListening ? "listening" : "typing"] : STATUS[phase];
  }

  showTrouble(sentence) {
    document.body.dataset.trouble = "yes";
    this.status.textContent = sentence;
  }

  showButton(isListening) {
    this.button.setAttribute("aria-pressed", String(isListening));
    this.label.textContent = isListening ? "End" : "Talk";
  }

  showLevel(peak) {
    this.button.style.setProperty("--level", Math.min(1, Math.sqrt(peak)).toFixed(3));
  }

  divide(sentence) {
    if (this.rows.size > 0) this.log.append(element("p", "divider", sentence));
  }

  showItem(item) {
    const follows = this.isAtEnd();
    this.welcome.hidden = true;
    if (item.state === State.GONE) this.removeRow(item);
    else this.fillRow(this.row(item), item);
    if (follows) this.log.scrollTop = this.log.scrollHeight;
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
  }

  removeRow(item) {
    this.rows.get(item.id)?.article.remove();
    this.rows.delete(item.id);
  }

  row(item) {
    if (!this.rows.has(item.id)) this.rows.set(item.id, this.makeRow(item));
    return this.rows.get(item.id);
  }

  makeRow(item) {
    const article = element("article", `turn ${item.role}`);
    const heard = element("span", "heard");
    const unheard = element("span", "unheard");
    const words = element("p", "words");
    const note = element("p", "note");
    words.append(heard, unheard);
    article.append(element("h2", "who", WHO[item.role]), words, note);
    this.log.append(article);
    return { article, heard, unheard, note, bar: null, announced: false };
  }

  fillRow(row, item) {
    const heard = item.role === "assistant" ? item.lettersHeard : item.text.length;
    row.article.dataset.state = item.state;
    row.heard.textContent = item.text.slice(0, heard);
    row.unheard.textContent = item.text.slice(heard);
    row.note.textContent = this.note(item);
    if (item.timings && !row.bar) this.addBar(row, item.timings);
    if (item.state !== State.LIVE && !row.announced) this.announce(row, item);
  }

  note(item) {
    if (item.note || item.state !== State.INTERRUPTED) return item.note;
    return item.played > 0 ? `Interrupted after ${(item.played / 24000).toFixed(1)} s` : "Interrupted before it was heard";
  }

  announce(row, item) {
    row.announced = true;
    this.announcer.append(element("p", "", `${WHO[item.role]}: ${item.text || item.note}`));
  }

  addBar(row, timings) {
    row.bar = element("figure", "timings");
    const bar = element("div", "bar");
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `${inWords(timings.total)} from the end of speech to the first audio`);
    for (const step of timings.steps) {
      const part = element("span", step.className);
      part.style.setProperty("--ms", step.ms);
      bar.append(part);
    }
    bar.append(element("strong", "total", inWords(timings.total)));
    row.bar.append(bar, legend(timings));
    row.article.append(...[row.bar, waterfall(timings)].filter(Boolean));
    this.scaleMs = Math.max(this.scaleMs, timings.total);
    this.log.style.setProperty("--scale-ms", this.scaleMs);
  }
}

function legend(timings) {
  const made = element("figcaption", "legend");
  for (const step of timings.steps) {
    const entry = element("span", `entry ${step.className}`);
    entry.append(element("span", "name", step.name), element("span", "ms", inWords(step.ms)));
    made.append(entry);
  }
  return made;
}
