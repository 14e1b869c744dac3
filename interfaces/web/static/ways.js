/**
 * The ways to sign in beside the password: what the browser does for passkeys, and what is told when something is refused.
 *
 * @module
 */

import { ApiError } from "../../clients/javascript/index.js";
import { say } from "./texts.js";

/** What to tell a person about a failure. @param {unknown} error */
export function explain(error) {
  if (!(error instanceof ApiError)) return say.failed;
  if (error.status === 0 || error.status === 503) return say.unreachable;
  if (error.status === 429) return say.tooOften(Math.ceil(error.retryAfter ?? 60));
  if (error.status === 403) return say.notAllowed;
  if (error.code === "USERNAME_TAKEN") return say.usernameTaken;
  if (error.status === 422) return say.invalid;
  return say.failed;
}

/** What to tell about a way to sign in that is refused. @param {unknown} error */
export function explainWay(error) {
  if (error instanceof DOMException) return say.passkeyCancelled;
  if (error instanceof ApiError) return explainCode(error.code) ?? (error.status === 401 ? say.wayLate : explain(error));
  return say.failed;
}

/** The words for the code of an error of a way to sign in. @param {string} code @returns {string | undefined} */
export function explainCode(code) {
  return /** @type {Record<string, string>} */ ({
    AUTH_ERROR: say.wayLate,
    CODE_WRONG: say.codeWrong,
    IDENTITY_TAKEN: say.identityTaken,
    IDENTITY_UNKNOWN: say.identityUnknown,
    LAST_WAY_IN: say.lastWayIn,
    PASSKEY_COPIED: say.passkeyCopied,
    PASSKEY_NOT_FOUND: say.passkeyUnknown,
    PASSKEY_REFUSED: say.passkeyRefused,
    PASSWORD_WRONG: say.ownPasswordWrong,
    PROOF_UNFIT: say.wayLate,
    PROVIDER_REFUSED: say.providerRefused,
    PROVIDER_UNAVAILABLE: say.providerUnavailable,
    TOO_MANY_PASSKEYS: say.tooManyPasskeys,
  })[code];
}

/** Whether this browser can have passkeys for this page. */
export const canUsePasskeys = () => "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** Lets the person make a passkey. @param {any} options of the server @returns {Promise<any>} the answer for the server */
export async function makePasskey(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return /** @type {PublicKeyCredential} */ (await navigator.credentials.create({ publicKey })).toJSON();
}

/** Lets the person use a passkey. @param {any} options of the server @returns {Promise<any>} the answer for the server */
export async function usePasskey(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey })).toJSON();
}
