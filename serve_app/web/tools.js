// What the model may call on this page: functions that the browser answers by itself.

const CLOCK = {
  type: "function",
  name: "current_time",
  description: "The date and the time of day where the user is.",
  parameters: { type: "object", properties: {}, additionalProperties: false },
};

/** Of the session, by the value of the choice on the page. */
export const TOOL_SETTINGS = {
  off: { tools: [], tool_choice: "none" },
  auto: { tools: [CLOCK], tool_choice: "auto" },
  always: { tools: [CLOCK], tool_choice: "required" },
};

/** @returns {string} what the function gives; for a model that calls what there is not, that */
export function answerCall(name, now = new Date()) {
  if (name !== CLOCK.name) return `There is no function ${name}.`;
  return now.toLocaleString("en", { dateStyle: "full", timeStyle: "short" });
}
