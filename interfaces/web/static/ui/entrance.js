/**
 * The screens before one is signed in.
 *
 * @module
 */

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { ApiError } from "../../../clients/javascript/index.js";
import { explain, session } from "../session.js";
import { say } from "../texts.js";
import { CodeField, explainCode } from "./factor.js";
import { Letters } from "./letters.js";
import { Field, Form } from "./parts.js";
import { canUsePasskeys, explainCode as explainWayCode, explainWay } from "../ways.js";

const EMAIL = { label: say.email, name: "email", type: "email", autocomplete: "username", inputmode: "email", required: true };

/** What signing up is refused for, in words. @param {unknown} error */
function refusal(error) {
  if (!(error instanceof ApiError)) return explain(error);
  if (error.code === "ACCOUNT_ALREADY_EXISTS") return say.emailTaken;
  if (error.status === 422 || error.status === 501) return error.fields.some(({ field }) => field.includes("email")) ? say.emailUnfit : say.passwordUnfit;
  return explain(error);
}

/** The first screen, which is that of a code for somebody who came back from a provider to an account with a second factor. */
const came = () => (session.entrance?.pendingToken ? { name: "code", pendingToken: session.entrance.pendingToken } : { name: "sign_in" });

/** Signing in without a password, where the messenger has that. */
function OtherWays() {
  const [offered, setOffered] = useState(/** @type {{providers: {id: string, name: string}[], passkeys: boolean} | null} */ (null));
  const [problem, setProblem] = useState(session.entrance === null ? "" : (explainWayCode(session.entrance.problem) ?? say.failed));
  useEffect(() => {
    session.tokens.call("GET", "/accounts/ways/", undefined, { anonymous: true }).then(setOffered, () => undefined); // a password still signs in
  }, []);
  const attempt = (act) => () => {
    session.entrance = null;
    setProblem("");
    act().catch((error) => setProblem(explainWay(error)));
  };
  return html`${offered?.passkeys && canUsePasskeys() && html`<p class="way"><button type="button" onClick=${attempt(() => session.signInWithPasskey())}>${say.signInWithPasskey}</button></p>`}
    ${offered?.providers.map(({ id, name }) => html`<p class="way" key=${id}><button type="button" onClick=${attempt(() => session.leaveFor(id))}>${say.signInThrough(name)}</button></p>`)}
    <p class="problem other" role="alert">${problem}</p>`;
}

export function Entrance() {
  const [screen, setScreen] = useState(/** @type {{name: string, email?: string, pendingToken?: string}} */ (came()));
  const link = (name, text) => html`<button type="button" class="link" onClick=${() => setScreen({ name, email: screen.email })}>${text}</button>`;
  const signIn = async ({ email, password }) => {
    try {
      await session.signIn(email.trim(), password);
    } catch (error) {
      if (!(error instanceof ApiError) || error.pendingToken === null) throw error;
      setScreen({ name: "code", email: email.trim(), pendingToken: error.pendingToken });
    }
  };
  const card = useRef(null);
  useEffect(() => card.current.querySelector("input, h1[tabindex]").focus(), [screen.name]);
  return html`<main class="entrance">
    <div class="card" key=${screen.name} ref=${card}>
      <div class="brand" aria-hidden="true"></div>
      ${screen.name === "sign_in" &&
      html`<h1>${say.messenger}</h1>
        <${Form} submit=${say.signIn} explain=${(error) => (error instanceof ApiError && (error.status === 401 || error.status === 422) ? say.wrongPassword : explain(error))} onSubmit=${signIn}>
          <${Field} ...${EMAIL} value=${screen.email ?? ""} />
          <${Field} label=${say.password} name="password" type="password" autocomplete="current-password" required />
        <//>
        <${OtherWays} />
        <p class="aside">${say.noAccount} ${link("sign_up", say.signUp)}</p>
        <p class="aside">${link("forgot", say.forgot)}</p>`}
      ${screen.name === "code" &&
      html`<h1>${say.codeTitle}</h1>
        <p>${say.codeText}</p>
        <${Form}
          submit=${say.signIn}
          explain=${(error) => (error instanceof ApiError && error.status === 401 ? say.codeLate : explainCode(error))}
          onSubmit=${({ code }) => session.finishSignIn(screen.pendingToken, code)}
        >
          <${CodeField} />
        <//>
        <p class="aside">${link("sign_in", say.backToSignIn)}</p>`}
      ${screen.name === "sign_up" &&
      html`<h1>${say.signUp}</h1>
        <${Form}
          submit=${say.signUp}
          explain=${refusal}
          onSubmit=${async ({ email, password }) => {
            await session.tokens.call("POST", "/accounts/sign-up/", { email: email.trim(), password }, { anonymous: true });
            setScreen({ name: "letter", email: email.trim() });
          }}
        >
          <${Field} ...${EMAIL} />
          <${Field} label=${say.password} name="password" type="password" autocomplete="new-password" hint=${say.passwordRule} required />
        <//>
        <p class="aside">${say.haveAccount} ${link("sign_in", say.signIn)}</p>`}
      ${screen.name === "forgot" &&
      html`<h1>${say.forgotTitle}</h1>
        <p>${say.forgotText}</p>
        <${Form}
          submit=${say.sendLetter}
          explain=${refusal}
          onSubmit=${async ({ email }) => {
            await session.tokens.call("POST", "/accounts/password/reset/", { email: email.trim() }, { anonymous: true });
            setScreen({ name: "letter", email: email.trim() });
          }}
        >
          <${Field} ...${EMAIL} />
        <//>
        <p class="aside">${link("sign_in", say.backToSignIn)}</p>`}
      ${screen.name === "letter" &&
      html`<h1 tabindex="-1">${say.letterTitle}</h1>
        <p>${say.letterText(screen.email)}</p>
        <${Letters} to=${screen.email} />
        <p class="aside">${link("sign_in", say.backToSignIn)}</p>`}
    </div>
  </main>`;
}
