// 16-bit PCM as it stands in Realtime events: little endian, base64. Every machine that runs a browser is little endian.

export const WIRE_RATE = 24000;

/** @param {ArrayBuffer} buffer @returns {string} */
export function toBase64(buffer) {
  let binary = "";
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** @param {string} base64 whole samples @returns {Int16Array} */
export function fromBase64(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length - (binary.length % 2));
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return new Int16Array(bytes.buffer);
}
