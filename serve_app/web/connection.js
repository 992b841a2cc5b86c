// The websocket to /v1/realtime and what its ends mean for a person.

const WHY_CLOSED = {
  1001: "The session reached its longest or the server is going away: press the button to start a new one.",
  1012: "The server is restarting: wait a moment, then press the button again.",
  1013: "The server has no room for another conversation: wait a moment, then press the button again.",
  3000: "The server asks for a key: enter it under Access key, then press the button again.",
};

const NO_DOOR = "The server did not open a conversation: see that it is running (make serve).";

export function realtimeAddress(page) {
  const address = new URL("v1/realtime?sparkvox=timings", page);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

export class Connection {
  /** `onEvent(event)` for each server event; `onClosed(sentence | null)`, null when we hung up ourselves. */
  constructor(onEvent, onClosed) {
    this.onEvent = onEvent;
    this.onClosed = onClosed;
    this.socket = null;
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Resolves once open; a refusal ends in `onClosed` and resolves to false. */
  open(address, key) {
    // A browser cannot set headers on a websocket, so a key travels as a subprotocol, as OpenAI's own clients do it.
    const protocols = key ? ["realtime", `openai-insecure-api-key.${key}`] : ["realtime"];
    const socket = new WebSocket(address, protocols);
    this.socket = socket;
    return new Promise((resolve) => {
      let opened = false;
      socket.onopen = () => resolve((opened = true));
      socket.onmessage = ({ data }) => this.onEvent(JSON.parse(data));
      socket.onclose = ({ code }) => {
        const ours = this.socket !== socket;
        if (!ours) this.socket = null;
        this.onClosed(ours ? null : this.reason(code, opened));
        resolve(false);
      };
    });
  }

  reason(code, opened) {
    const lost = "The connection was lost: press the button to start again.";
    return WHY_CLOSED[code] ?? (opened ? lost : NO_DOOR);
  }

  send(event) {
    if (this.isOpen) this.socket.send(JSON.stringify(event));
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }
}
