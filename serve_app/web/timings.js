// Where a turn's time went, from the metadata that the server adds to response.done because we asked for it (?sparkvox=timings).

export const STEPS = [
  { field: "endpoint_ms", name: "endpoint wait", className: "endpoint" },
  { field: "transcript_ms", name: "transcription", className: "transcript" },
  { field: "first_token_ms", name: "first token", className: "token" },
  { field: "first_audio_ms", name: "first audio", className: "audio" },
];

// What lies behind them: of a drafted answer the steps lie beside each other and beside the endpoint wait.
const STAGES = {
  endpointing: { name: "endpoint wait", className: "endpoint" },
  transcription: { name: "transcription", className: "transcript" },
  guess: { name: "transcription in the pause", className: "transcript" },
  first_token: { name: "first token", className: "token" },
  first_clause: { name: "first clause", className: "token" },
  synthesis: { name: "first sound made", className: "audio" },
  first_audio: { name: "first audio sent", className: "audio" },
};

/**
 * @returns {{steps: {name, className, ms}[], total: number, stages: {name, className, start, end}[], drafted: boolean, saved: number} | null}
 * null when the response carries no timings. Milliseconds; `start` and `end` from the end of speech on.
 */
export function readTimings(response) {
  const text = response.metadata?.["sparkvox.timings"];
  if (!text) return null;
  const figures = JSON.parse(text);
  const steps = STEPS.filter(({ field }) => typeof figures[field] === "number").map(({ field, name, className }) => ({
    name,
    className,
    ms: Math.max(0, figures[field]),
  }));
  if (steps.length === 0) return null;
  const sum = steps.reduce((total, step) => total + step.ms, 0);
  const total = typeof figures.total_ms === "number" ? figures.total_ms : sum;
  return { steps, total, stages: readStages(figures), drafted: figures.drafted === true, saved: figures.saved_ms ?? 0 };
}

function readStages(figures) {
  const known = (figures.stages ?? []).filter(([name]) => name in STAGES);
  return known.map(([name, start, end]) => ({ ...STAGES[name], start, end }));
}
