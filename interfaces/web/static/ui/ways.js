/**
 * The ways to sign in to the account beside the password: passkeys, and identities at other providers.
 *
 * @module
 */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { session } from "../session.js";
import { moment, momentOf, say } from "../texts.js";
import { canUsePasskeys, explainWay, makePasskey, usePasskey } from "../ways.js";
import { CodeField, PasswordField } from "./factor.js";
import { Dialog, Field, Form } from "./parts.js";

/** @typedef {{providers: {id: string, name: string}[], passkeys: boolean}} Offered */

const ask = (method, path, body) => session.tokens.call(method, path, body);

/** Proves by a passkey who this is. @returns {Promise<{proof: string}>} */
export async function prove() {
  const { options, token } = await ask("POST", "/accounts/proof/begin/");
  const { proof } = await ask("POST", "/accounts/proof/", { token, credential: await usePasskey(options) });
  return { proof };
}

/** Asks for the password, and a code if there is a second factor and `takesCode`; or for a passkey, if there is one. */
export function Proving({ submit, hasPasskey, onProven, takesCode = true }) {
  const [problem, setProblem] = useState("");
  const [hasFactor, setHasFactor] = useState(false);
  useEffect(() => {
    if (!takesCode) return;
    ask("GET", "/accounts/factors/").then(
      ({ totp }) => setHasFactor(totp),
      () => undefined, // a code is asked for then when it is missing
    );
  }, []);
  const byPasskey = async () => {
    try {
      await onProven(await prove());
    } catch (error) {
      setProblem(explainWay(error));
    }
  };
  return html`<${Form} submit=${submit} explain=${explainWay} onSubmit=${({ password, code }) => onProven({ password, code: code ?? null })}>
      <${PasswordField} autofocus />
      ${hasFactor && html`<${CodeField} />`}
    <//>
    ${hasPasskey && canUsePasskeys() && html`<p class="aside"><button type="button" class="link" onClick=${byPasskey}>${say.provePasskey}</button></p>`}
    <p class="problem" role="alert">${problem}</p>`;
}

export function Ways({ close, problem: first = "" }) {
  const [offered, setOffered] = useState(/** @type {Offered | null} */ (null));
  const [passkeys, setPasskeys] = useState(/** @type {any[]} */ ([]));
  const [identities, setIdentities] = useState(/** @type {any[]} */ ([]));
  const [task, setTask] = useState(/** @type {{title: string, act: (proof: object) => Promise<void>} | null} */ (null));
  const [renamed, setRenamed] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(first);
  const read = async () => {
    try {
      const [ways, keys, linked] = await Promise.all([ask("GET", "/accounts/ways/"), ask("GET", "/accounts/passkeys/"), ask("GET", "/accounts/identities/")]);
      setOffered(ways);
      setPasskeys(keys);
      setIdentities(linked);
    } catch (error) {
      setProblem(explainWay(error));
    }
  };
  useEffect(() => void read(), []);
  /** @param {string} title @param {(proof: object) => Promise<void>} act */
  const begin = (title, act) => {
    setProblem("");
    setTask({
      title,
      act: async (proof) => {
        await act(proof);
        setTask(null);
        await read();
      },
    });
  };
  const add = () =>
    begin(say.addPasskey, async (proof) => {
      const { options, token } = await ask("POST", "/accounts/passkeys/begin/", proof);
      const credential = await makePasskey(options);
      await ask("POST", "/accounts/passkeys/", { token, credential, name: say.passkeyOf(momentOf(new Date())) });
    });
  const remove = ({ id }) => begin(say.removePasskey, (proof) => ask("DELETE", `/accounts/passkeys/${id}/`, proof));
  const unlink = ({ id }) => begin(say.unlink, (proof) => ask("DELETE", `/accounts/identities/${id}/`, proof));
  const link = ({ id, name }) =>
    begin(say.linkWith(name), async (proof) => {
      const { url } = await ask("POST", "/accounts/identities/", { provider: id, ...proof });
      location.assign(url);
    });
  const named = ({ provider, issuer }) => offered?.providers.find(({ id }) => id === provider)?.name ?? issuer;
  const used = ({ lastUsedAt }) => (lastUsedAt === null ? say.neverUsed : say.lastUsed(momentOf(moment(lastUsedAt))));
  return html`<${Dialog} title=${task?.title ?? say.ways} onClose=${close}>
    ${task !== null
      ? html`<${Proving} submit=${task.title} hasPasskey=${passkeys.length > 0} onProven=${task.act} />
          <p class="aside"><button type="button" class="link" onClick=${() => setTask(null)}>${say.cancel}</button></p>`
      : renamed !== null
        ? html`<${Form}
            submit=${say.save}
            explain=${explainWay}
            onSubmit=${async ({ name }) => {
              await ask("PATCH", `/accounts/passkeys/${renamed.id}/`, { name });
              setRenamed(null);
              await read();
            }}
          >
            <${Field} label=${say.passkeyName} name="name" value=${renamed.name} maxlength="60" required autofocus />
          <//>`
        : html`<p>${say.waysText}</p>
            <ul class="items">
              ${passkeys.map(
                (each) => html`<li class="entry" key=${each.id}>
                  <span><b><bdi>${each.name}</bdi></b><small>${say.passkey} · ${used(each)}</small></span>
                  <button type="button" onClick=${() => setRenamed(each)}>${say.rename}</button>
                  <button type="button" onClick=${() => remove(each)}>${say.removePasskey}</button>
                </li>`,
              )}
              ${identities.map(
                (each) => html`<li class="entry" key=${each.id}>
                  <span><b><bdi>${named(each)}</bdi></b><small><bdi>${each.email ?? ""}</bdi> · ${used(each)}</small></span>
                  <button type="button" onClick=${() => unlink(each)}>${say.unlink}</button>
                </li>`,
              )}
            </ul>
            ${offered?.passkeys && canUsePasskeys() && html`<p><button type="button" onClick=${add}>${say.addPasskey}</button></p>`}
            ${offered?.providers
              .filter(({ id }) => !identities.some(({ provider }) => provider === id))
              .map((each) => html`<p key=${each.id}><button type="button" onClick=${() => link(each)}>${say.linkWith(each.name)}</button></p>`)}
            ${offered !== null && !offered.passkeys && offered.providers.length === 0 && html`<p>${say.noWays}</p>`}`}
    <p class="problem" role="alert">${problem}</p>
  <//>`;
}
