// Where a turn's time went, from the metadata that the server adds to response.done because we asked for it (?sparkvox=timings).

export const STEPS = [
  { field: "endpoint_ms", name: "endpoint wait", className: "endpoint" },
  { field: "transcript_ms", name: "transcription", className: "transcript" },
  { field: "first_token_ms", name: "first token", className: "token" },
  { field: "first_audio_ms", name: "first audio", className: "audio" },
];

/** @returns {{steps: {name, className, ms}[], total: number} | null} null when the response carries no timings */
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
  return { steps, total: typeof figures.total_ms === "number" ? figures.total_ms : sum };
}
