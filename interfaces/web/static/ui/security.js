/**
 * What happened to the account, and the access tokens that its owner gave to programs.
 *
 * @module
 */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { ApiError } from "../../../clients/javascript/index.js";
import { agent, explain, session } from "../session.js";
import { moment, momentOf, say } from "../texts.js";
import { CodeField, explainCode, PasswordField } from "./factor.js";
import { Dialog, Field, Form } from "./parts.js";

const EVENTS = "/accounts/events/?limit=200";
const TOKENS = "/accounts/tokens/";

/** For how many days a token may be good. */
const DAYS = [7, 30, 90, 365];

export function Events({ close }) {
  const [events, setEvents] = useState(/** @type {any[] | null} */ (null));
  const [problem, setProblem] = useState("");
  useEffect(() => {
    session.tokens.call("GET", EVENTS).then(setEvents, (error) => setProblem(explain(error)));
  }, []);
  return html`<${Dialog} title=${say.events} onClose=${close}>
    <p>${say.eventsText} <button type="button" class="link" onClick=${() => session.show({ type: "devices" })}>${say.devices}</button></p>
    ${events === null
      ? problem === "" && html`<p role="status">${say.loading}</p>`
      : html`<ul class="items events">
          ${events.map(
            ({ id, type, at, userAgent, address }) => html`<li class="entry" key=${id}>
              <span><b>${say.acts[type] ?? type}</b><small><time>${momentOf(moment(at))}</time> · ${agent(userAgent)}${address && ` · ${address}`}</small></span>
            </li>`,
          )}
        </ul>`}
    <p class="problem" role="alert">${problem}</p>
  <//>`;
}

/** What to tell about a token that is not made. @param {unknown} error */
function refusal(error) {
  if (!(error instanceof ApiError)) return explain(error);
  if (error.code === "ACCESS_TOKENS_UNAVAILABLE") return say.tokensUnavailable;
  if (error.code === "TOO_MANY_ACCESS_TOKENS") return say.tooManyTokens;
  if (error.status === 422) return error.fields.some(({ field }) => field.includes("code")) ? say.codeWrong : say.tokenNameUnfit;
  return explainCode(error);
}

export function Programs({ close }) {
  const [tokens, setTokens] = useState(/** @type {any[]} */ ([]));
  const [made, setMade] = useState(/** @type {string | null} */ (null));
  const [hasFactor, setHasFactor] = useState(false);
  const [problem, setProblem] = useState("");
  const look = () => session.tokens.call("GET", TOKENS).then(setTokens, (error) => setProblem(explain(error)));
  useEffect(() => {
    void look();
    session.tokens.call("GET", "/accounts/factors/").then(
      ({ totp }) => setHasFactor(totp),
      () => undefined, // making a token says then that a code is needed
    );
  }, []);
  const end = async (id) => {
    setProblem("");
    try {
      await session.tokens.call("DELETE", `${TOKENS}${id}/`);
    } catch (error) {
      setProblem(explain(error));
    }
    await look();
  };
  const make = async ({ name, messages, chats, days, password, code }) => {
    const scopes = [messages && "messages", chats && "chats"].filter(Boolean);
    const { token } = await session.tokens.call("POST", TOKENS, { name: name.trim(), scopes, days: Number(days), password, code: code ?? null });
    setMade(token);
    await look();
  };
  return html`<${Dialog} title=${say.programs} onClose=${close}>
    ${made !== null &&
    html`<div role="status"><p>${say.tokenMade}</p><p><code class="secret">${made}</code></p></div>
      <button type="button" onClick=${() => setMade(null)}>${say.tokenKept}</button>`}
    ${tokens.length > 0 &&
    html`<ul class="items tokens">
      ${tokens.map(
        ({ id, name, scopes, lastUsedAt, expiresAt }) => html`<li class="entry" key=${id}>
          <span>
            <b dir="auto">${name}</b>
            <small>${[say.scopeRead, ...scopes.map((scope) => say.scopes[scope] ?? scope)].join(", ")}</small>
            <small>${lastUsedAt ? say.lastUsed(momentOf(moment(lastUsedAt))) : say.neverUsed} · ${say.goodUntil(momentOf(moment(expiresAt)))}</small>
          </span>
          <button type="button" aria-label=${`${say.endToken}: ${name}`} onClick=${() => end(id)}>${say.endToken}</button>
        </li>`,
      )}
    </ul>`}
    <p class="problem" role="alert">${problem}</p>
    ${made === null &&
    html`<p>${say.programsText}</p>
      <${Form} submit=${say.makeToken} explain=${refusal} onSubmit=${make}>
        <${Field} label=${say.tokenName} name="name" required autofocus maxlength="60" autocomplete="off" />
        <fieldset>
          <legend>${say.tokenMay}</legend>
          ${Object.entries(say.scopes).map(([scope, text]) => html`<label class="item check"><input type="checkbox" name=${scope} />${text}</label>`)}
        </fieldset>
        <label class="field">
          <span>${say.tokenDays}</span>
          <select name="days">
            ${DAYS.map((days) => html`<option value=${days} selected=${days === 90}>${say.days(days)}</option>`)}
          </select>
        </label>
        <${PasswordField} />
        ${hasFactor && html`<${CodeField} />`}
      <//>`}
  <//>`;
}
