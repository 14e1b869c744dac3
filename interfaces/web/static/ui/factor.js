/**
 * The second factor of the account: set up, confirmed by a code, and turned off.
 *
 * @module
 */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { ApiError } from "../../../clients/javascript/index.js";
import { explain, session } from "../session.js";
import { say } from "../texts.js";
import { Dialog, Field, Form } from "./parts.js";

const FACTORS = "/accounts/factors/";

/** What to tell about a password or a code that is refused. @param {unknown} error */
export function explainCode(error) {
  if (!(error instanceof ApiError)) return explain(error);
  if (error.code === "CODE_WRONG" || error.status === 422) return say.codeWrong;
  if (error.code === "PASSWORD_WRONG") return say.ownPasswordWrong;
  if (error.code === "FACTORS_UNAVAILABLE") return say.factorUnavailable;
  return explain(error);
}

export function CodeField(props) {
  return html`<${Field} label=${say.code} name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" hint=${say.codeHint} required ...${props} />`;
}

/** Asks for the password. Somebody who has none, because another service signs them in, is led to where it is set. */
export function PasswordField(props) {
  const [isMissing, setMissing] = useState(false);
  useEffect(() => {
    session.tokens.call("GET", "/accounts/me/ways/").then(
      ({ password }) => setMissing(!password),
      () => undefined, // the password is asked for then
    );
  }, []);
  if (isMissing) return html`<p>${say.passwordMissing} <button type="button" class="link" onClick=${() => session.show({ type: "password" })}>${say.setPassword}</button></p>`;
  return html`<input type="text" name="username" autocomplete="username" value=${session.email} hidden />
    <${Field} label=${say.password} name="password" type="password" autocomplete="current-password" required ...${props} />`;
}

export function Factor({ close }) {
  const [state, setState] = useState(/** @type {{available: boolean, totp: boolean, recoveryCodesLeft: number} | null} */ (null));
  const [made, setMade] = useState(/** @type {{secret: string, uri: string} | null} */ (null));
  const [codes, setCodes] = useState(/** @type {string[] | null} */ (null));
  const [problem, setProblem] = useState("");
  const ask = (method, path, body) => session.tokens.call(method, FACTORS + path, body);
  const read = () => ask("GET", "").then(setState, (error) => setProblem(explain(error)));
  useEffect(() => void read(), []);
  const show = async ({ recoveryCodes }) => {
    setMade(null);
    setCodes(recoveryCodes);
    await read();
  };
  return html`<${Dialog} title=${say.factor} onClose=${close}>
    ${codes !== null
      ? html`<p role="status">${say.recoveryCodes}</p>
          <ul class="codes">
            ${codes.map((code) => html`<li><code>${code}</code></li>`)}
          </ul>`
      : made !== null
        ? html`<p>${say.factorSecret}</p>
            <p><code class="secret">${made.secret.match(/.{4}/g).join(" ")}</code></p>
            <p><a href=${made.uri}>${say.factorOpen}</a></p>
            <${Form} submit=${say.factorConfirm} explain=${explainCode} onSubmit=${async ({ code }) => await show(await ask("POST", "totp/confirm/", { code }))}>
              <${CodeField} hint="" autofocus />
            <//>`
        : state?.totp
          ? html`<p>${say.factorOn(state.recoveryCodesLeft)}</p>
              <${Form}
                submit=${say.factorOff}
                explain=${explainCode}
                onSubmit=${async ({ password, code }) => {
                  await ask("DELETE", "totp/", { password, code });
                  await read();
                }}
              >
                <${PasswordField} autofocus />
                <${CodeField} />
              <//>`
          : state?.available
            ? html`<p>${say.factorText}</p>
                <${Form} submit=${say.factorBegin} explain=${explainCode} onSubmit=${async ({ password }) => setMade(await ask("POST", "totp/", { password }))}>
                  <${PasswordField} autofocus />
                <//>`
            : state !== null && html`<p>${say.factorUnavailable}</p>`}
    <p class="problem" role="alert">${problem}</p>
  <//>`;
}
