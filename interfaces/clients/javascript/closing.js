/**
 * What a client does after a connection has ended: the close codes of docs/protocol.md as verdicts.
 *
 * @module
 */

/** @typedef {import("./index.d.ts").Verdict} Verdict */

/** @type {Record<number, Verdict>} */
const VERDICTS = {
  1000: "return",
  1001: "return",
  1002: "fault",
  1003: "fault",
  1006: "return",
  1007: "fault",
  1008: "fault",
  1009: "fault",
  1011: "return",
  1012: "return",
  1013: "return",
  4401: "signed_out",
  4403: "fault",
};

/** @type {Record<string, Verdict>} */
const REFUSED = {
  token_expired: "refresh",
  token_invalid: "refresh",
  token_type: "refresh",
  auth_timeout: "return",
};

/**
 * Tells what to do after a close.
 *
 * `refresh` gets a new access token and connects again; if the tokens cannot be refreshed, the session has ended.
 * `fault` never connects again by itself: the same frames would end the same way.
 *
 * @param {number} code the close code, 1006 for a connection that broke
 * @param {string | null} refusal the code of the `auth_error` before it, if there was one
 * @returns {Verdict}
 */
export function verdict(code, refusal = null) {
  if (refusal !== null) return REFUSED[refusal] ?? "fault";
  return VERDICTS[code] ?? "return";
}

/**
 * The pause in milliseconds that the server names in the reason of close 1013, such as "retry after 3 s"; 0 if there is none.
 *
 * @param {string} reason
 */
export function pauseIn(reason) {
  const found = /(\d+(?:\.\d+)?)\s*(?:s\b|sec)/.exec(reason);
  return found?.[1] === undefined ? 0 : Number(found[1]) * 1000;
}
