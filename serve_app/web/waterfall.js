// The steps of one turn, one below the other on one scale: a table, so that it can be read without seeing it.

import { element, inWords } from "./elements.js";

/** @returns a closed panel, or null where no step is known */
export function waterfall(timings) {
  if (timings.stages.length === 0) return null;
  const table = document.createElement("table");
  const lastMs = Math.max(1, ...timings.stages.map(({ end }) => end));
  table.append(element("caption", "", caption(timings)), head());
  const body = document.createElement("tbody");
  body.append(...timings.stages.map((stage) => row(stage, lastMs)));
  table.append(body);
  const panel = element("details", "steps");
  panel.append(element("summary", "", "Steps"), table);
  return panel;
}

function caption({ drafted, saved }) {
  return drafted ? `From the end of speech on. Begun in the pause: ${inWords(saved)} earlier` : "From the end of speech on";
}

function head() {
  const names = document.createElement("tr");
  const columns = ["Step", "From", "Took"].map((name) => element("th", "", name));
  for (const column of columns) column.scope = "col";
  const picture = element("td", "");
  picture.setAttribute("aria-hidden", "true");
  names.append(columns[0], picture, columns[1], columns[2]);
  const made = document.createElement("thead");
  made.append(names);
  return made;
}

function row({ name, className, start, end }, lastMs) {
  const made = document.createElement("tr");
  const step = element("th", "", name);
  step.scope = "row";
  const picture = element("td", "track");
  picture.setAttribute("aria-hidden", "true");
  const bar = element("span", className);
  bar.style.setProperty("--start", start / lastMs);
  bar.style.setProperty("--took", (end - start) / lastMs);
  picture.append(bar);
  made.append(step, picture, element("td", "from", inWords(start)), element("td", "took", inWords(end - start)));
  return made;
}
