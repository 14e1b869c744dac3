/**
 * Changing the password, and what becomes of the other ways to sign in.
 *
 * @module
 */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { session } from "../session.js";
import { say } from "../texts.js";
import { canUsePasskeys, explainWay } from "../ways.js";
import { CodeField, explainCode } from "./factor.js";
import { Dialog, Field, Form } from "./parts.js";
import { prove } from "./ways.js";

/** @typedef {{password: boolean, secondFactor: boolean, passkeys: number, identities: number}} OwnWays */

/** What to tell about a new password that is refused, to somebody who has one already or not. */
const told = (hasPassword) => (error) => {
  if (error instanceof DOMException || error.code === "PROOF_UNFIT") return explainWay(error);
  if (error.code === "PASSWORD_WRONG" && !hasPassword) return say.passwordByLetter;
  if (error.status === 422) return say.passwordUnfit;
  return explainCode(error);
};

export function Password({ close }) {
  const [ways, setWays] = useState(/** @type {OwnWays | null} */ (null));
  const [removes, setRemoves] = useState(false);
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    session.tokens.call("GET", "/accounts/me/ways/").then(setWays, () => setWays({ password: true, secondFactor: false, passkeys: 0, identities: 0 }));
  }, []);
  if (ways === null) return html`<${Dialog} title=${say.changePassword} onClose=${close}><p>${say.loading}</p><//>`;
  const others = ways.passkeys + ways.identities;
  const byPasskey = !ways.password && ways.passkeys > 0 && canUsePasskeys();
  const change = async ({ oldPassword, password, code }) => {
    const proof = ways.password ? { oldPassword } : byPasskey ? await prove() : {};
    const removal = removes ? { removeOtherWays: true, code: code ?? null } : {};
    await session.tokens.call("POST", "/accounts/password/set/", { password, ...proof, ...removal });
    setDone(true);
  };
  return html`<${Dialog} title=${say.changePassword} onClose=${close}>
    ${isDone
      ? html`<p role="status">${say.passwordChanged}</p>
          ${others > 0 && !removes && html`<p>${say.waysStay}</p><p><button type="button" onClick=${() => session.show({ type: "ways" })}>${say.ways}</button></p>`}`
      : html`${!ways.password && html`<p>${byPasskey ? say.passwordByPasskey : say.passwordFirst}</p>`}
          <${Form} submit=${say.save} explain=${told(ways.password)} onSubmit=${change}>
            <input type="text" name="username" autocomplete="username" value=${session.email} hidden />
            ${ways.password && html`<${Field} label=${say.oldPassword} name="oldPassword" type="password" autocomplete="current-password" required autofocus />`}
            <${Field} label=${say.newPassword} name="password" type="password" autocomplete="new-password" hint=${say.passwordRule} required autofocus=${!ways.password} />
            ${others > 0 && (ways.password || byPasskey) && html`<label class="item check"><input type="checkbox" name="removeOtherWays" checked=${removes} onChange=${(event) => setRemoves(event.currentTarget.checked)} />${say.removeWays(others)}</label>`}
            ${removes && ways.secondFactor && ways.password && html`<${CodeField} />`}
          <//>`}
  <//>`;
}
