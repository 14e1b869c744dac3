/**
 * What opens above the chats: menu, profile, devices, groups and who has read a message.
 *
 * @module
 */

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { agent, explain, nameOf, session, wirePerson } from "../session.js";
import { moment, momentOf, say, whenOf } from "../texts.js";
import { Factor } from "./factor.js";
import { Letters } from "./letters.js";
import { Avatar, Dialog, Field, Form, useSession } from "./parts.js";
import { Password } from "./password.js";
import { Events, Programs } from "./security.js";
import { Proving, Ways } from "./ways.js";

export function Dialogs() {
  const { dialog } = useSession();
  if (dialog === null) return null;
  const close = () => session.show(null);
  const Shown = SHOWN[dialog.type];
  return html`<${Shown} key=${dialog.type} ...${dialog} close=${close} />`;
}

function Menu({ close }) {
  const { profile, email, choices } = session;
  const [problem, setProblem] = useState("");
  const docs = document.body.dataset.docs;
  const item = (text, act) => html`<li><button type="button" class="item" onClick=${act}>${text}</button></li>`;
  const notify = async (event) => {
    const wanted = event.currentTarget.checked;
    const allowed = !wanted || ("Notification" in window && (await Notification.requestPermission()) === "granted");
    session.choose("notifications", wanted && allowed);
    setProblem(allowed ? "" : say.notificationsDenied);
  };
  return html`<${Dialog} title=${say.menu} onClose=${close}>
    ${profile !== null && html`<p class="who"><${Avatar} id=${profile.id} name=${nameOf(wirePerson(profile))} /><span><bdi>${nameOf(wirePerson(profile))}</bdi><small>${email}</small></span></p>`}
    <ul class="items">
      ${profile !== null && item(say.profile, () => session.show({ type: "profile" }))} ${item(say.newGroup, () => session.show({ type: "new_group" }))}
      ${item(say.devices, () => session.show({ type: "devices" }))} ${item(say.events, () => session.show({ type: "events" }))} ${item(say.changePassword, () => session.show({ type: "password" }))}
      ${item(say.factor, () => session.show({ type: "factor" }))} ${item(say.ways, () => session.show({ type: "ways" }))}
      ${document.body.dataset.programs && item(say.programs, () => session.show({ type: "programs" }))}
      <li><label class="item check"><input type="checkbox" checked=${choices.sound} onChange=${(event) => session.choose("sound", event.currentTarget.checked)} />${say.sound}</label></li>
      <li><label class="item check"><input type="checkbox" checked=${choices.notifications} onChange=${notify} />${say.notifications}</label></li>
      ${document.body.dataset.letters && item(say.letters, () => session.show({ type: "letters" }))}
      ${document.body.dataset.status && html`<li><a class="item" href=${document.body.dataset.status}>${say.status}</a></li>`} ${item(say.help, () => session.show({ type: "help" }))}
      ${docs && html`<li><a class="item" href=${docs}>${say.api}</a></li>`}
      ${item(say.signOut, () => session.signOut().catch((error) => setProblem(explain(error))))}
    </ul>
    <p class="problem" role="alert">${problem}</p>
  <//>`;
}

function Profile({ close, isNew = false }) {
  const { profile } = session;
  const save = async (fields) => {
    const changes = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value.trim() || null]));
    session.profile = await session.tokens.call("PATCH", "/accounts/profile/", changes);
    close();
  };
  return html`<${Dialog} title=${isNew ? say.welcome : say.profile} onClose=${close}>
    <p>${say.profileHint}</p>
    <${Form} submit=${say.save} explain=${explain} onSubmit=${save}>
      <${Field} label=${say.firstName} name="firstName" value=${profile.firstName ?? ""} autocomplete="given-name" autofocus />
      <${Field} label=${say.lastName} name="lastName" value=${profile.lastName ?? ""} autocomplete="family-name" />
      <${Field} label=${say.username} name="username" value=${profile.username ?? ""} autocomplete="nickname" autocapitalize="none" spellcheck="false" />
      ${!isNew && html`<${Field} label=${say.phone} name="phone" type="tel" value=${profile.phone ?? ""} autocomplete="tel" hint=${say.phoneHint} />`}
    <//>
    ${!isNew && html`<div class="danger"><button type="button" onClick=${() => session.show({ type: "close_account" })}>${say.closeAccount} …</button></div>`}
  <//>`;
}

function useHasPasskey() {
  const [hasPasskey, setHasPasskey] = useState(false);
  useEffect(() => {
    session.tokens.call("GET", "/accounts/passkeys/").then(
      (passkeys) => setHasPasskey(passkeys.length > 0),
      () => undefined, // the password is asked for then
    );
  }, []);
  return hasPasskey;
}

function CloseAccount({ close }) {
  const hasPasskey = useHasPasskey();
  return html`<${Dialog} title=${say.closeAccount} onClose=${close}>
    <p>${say.closeAccountText}</p>
    <${Proving} submit=${say.closeAccount} hasPasskey=${hasPasskey} onProven=${({ password, code, proof }) => session.closeAccount(password, code, proof)} />
  <//>`;
}

function Devices({ close }) {
  const [devices, setDevices] = useState(/** @type {any[]} */ ([]));
  const [problem, setProblem] = useState("");
  const [ended, setEnded] = useState(/** @type {{path: string, text: string, name: string} | null} */ (null));
  const hasPasskey = useHasPasskey();
  const look = () =>
    session.tokens.call("GET", "/accounts/sessions/").then(setDevices, (error) => setProblem(explain(error)));
  const end = async (proof) => {
    try {
      await session.tokens.call("DELETE", ended.path, proof);
    } catch (error) {
      if (error.status !== 404) throw error; // the session has ended meanwhile
    }
    setEnded(null);
    await look();
  };
  useEffect(() => void look(), []);
  if (ended !== null)
    return html`<${Dialog} title=${ended.text} onClose=${close}>
      ${ended.name && html`<p><b>${ended.name}</b></p>`}
      <${Proving} submit=${ended.text} hasPasskey=${hasPasskey} onProven=${end} takesCode=${false} />
      <p class="aside"><button type="button" class="link" onClick=${() => setEnded(null)}>${say.cancel}</button></p>
    <//>`;
  return html`<${Dialog} title=${say.devices} onClose=${close}>
    <ul class="items">
      ${devices.map(
        ({ id, userAgent, address, lastUsedAt, current }) => html`<li class="entry" key=${id}>
          <span><b>${agent(userAgent)}</b> ${current && html`<em>${say.thisDevice}</em>`}<small>${address ?? ""} · ${say.lastUsed(momentOf(moment(lastUsedAt)))}</small></span>
          ${!current && html`<button type="button" onClick=${() => setEnded({ path: `/accounts/sessions/${id}/`, text: say.signOutDevice, name: agent(userAgent) })}>${say.signOutDevice}</button>`}
        </li>`,
      )}
    </ul>
    <p class="problem" role="alert">${problem}</p>
    ${devices.length > 1 && html`<button type="button" class="main" onClick=${() => setEnded({ path: "/accounts/sessions/", text: say.signOutOthers, name: "" })}>${say.signOutOthers}</button>`}
  <//>`;
}

/** Finds people and keeps those who were picked. */
function Picker({ picked, onPick, without = [] }) {
  const [query, setQuery] = useState("");
  const [found, setFound] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    if (query.trim() === "") {
      setFound([]);
      return undefined;
    }
    let isOld = false;
    const timer = setTimeout(async () => {
      const people = await session.find(query.trim()).catch(() => []);
      if (!isOld) setFound(people);
    }, 250);
    return () => {
      isOld = true;
      clearTimeout(timer);
    };
  }, [query]);
  const shown = [...picked, ...found.filter(({ id }) => !without.includes(id) && !picked.some((each) => each.id === id))];
  const turn = (person) => onPick(picked.some(({ id }) => id === person.id) ? picked.filter(({ id }) => id !== person.id) : [...picked, person]);
  return html`<fieldset>
    <legend>${say.addPeople}</legend>
    <input type="search" placeholder=${say.findPeople} aria-label=${say.findPeople} value=${query} dir="auto" onInput=${(event) => setQuery(event.currentTarget.value)} onKeyDown=${(event) => event.key === "Enter" && event.preventDefault()} />
    <ul class="items picker">
      ${shown.map(
        (person) => html`<li key=${person.id}><label class="item check" data-name=${nameOf(person)}><input type="checkbox" checked=${picked.some(({ id }) => id === person.id)} onChange=${() => turn(person)} /><${Avatar} id=${person.id} name=${nameOf(person)} size="small" /><bdi>${nameOf(person)}</bdi></label></li>`,
      )}
    </ul>
  </fieldset>`;
}

function NewGroup({ close }) {
  const [picked, setPicked] = useState(/** @type {any[]} */ ([]));
  const [key] = useState(() => crypto.randomUUID());
  return html`<${Dialog} title=${say.newGroup} onClose=${close}>
    <${Form}
      submit=${say.create}
      explain=${told}
      onSubmit=${async ({ name }) => {
        if (name.trim() === "") return say.invalid;
        const { chat_id } = await session.messenger.createChat({ name: name.trim(), members: picked.map(({ id }) => id) }, key);
        close();
        session.open(chat_id);
        return undefined;
      }}
    >
      <${Field} label=${say.groupName} name="name" required autofocus maxlength="100" />
      <${Picker} picked=${picked} onPick=${setPicked} />
    <//>
  <//>`;
}

/** @param {any} error of a request of the socket */
const told = (error) => (error.code === "outcome_unknown" ? say.unreachable : { not_allowed: say.notAllowed, forbidden: say.notAllowed }[error.code] ?? (error.name === "RequestError" ? say.invalid : explain(error)));

/** Closes a small menu after something of it was picked. @param {MouseEvent & {currentTarget: HTMLDetailsElement, target: Element}} event */
function closeMenu({ currentTarget: menu, target }) {
  if (target.closest("button") === null) return;
  menu.querySelector("summary")?.focus();
  menu.open = false;
}

/** What is asked once more before it is done. @param {{text: string, act: () => Promise<void>, onCancel: () => void}} props */
function Question({ text, act, onCancel }) {
  const yes = useRef(null);
  useEffect(() => yes.current.focus(), []);
  return html`<div class="question" role="alertdialog" aria-label=${text}>
    <p>${text}</p>
    <button type="button" class="main" ref=${yes} onClick=${act}>OK</button>
    <button type="button" onClick=${onCancel}>${say.cancel}</button>
  </div>`;
}

function Group({ chat_id, close }) {
  const { messenger, members } = useSession();
  const [picked, setPicked] = useState(/** @type {any[]} */ ([]));
  const [problem, setProblem] = useState("");
  const [question, setQuestion] = useState(/** @type {{text: string, act: () => Promise<any>} | null} */ (null));
  const chat = messenger?.model.chats.get(chat_id);
  useEffect(() => void session.loadMembers(chat_id), []);
  if (chat === undefined) return html`<${Dialog} title=${say.details} onClose=${close}><p>${say.refusedWhy.chat_not_found}</p><//>`;
  const own = messenger.model.profileId;
  const everybody = members.get(chat_id) ?? [];
  const rank = { owner: 2, admin: 1, member: 0 };
  const may = rank[chat.role] >= 1;
  const act = async (work, isEnd = false) => {
    setProblem("");
    setQuestion(null);
    try {
      await work();
      if (isEnd) close();
      else await session.loadMembers(chat_id);
    } catch (error) {
      setProblem(told(error));
    }
  };
  const sure = (text, work, isEnd = false) => setQuestion({ text, act: () => act(work, isEnd) });
  return html`<${Dialog} title=${chat.chat.name} onClose=${close}>
    ${question !== null &&
    html`<${Question} key=${question.text} ...${question} onCancel=${() => setQuestion(null)} />`}
    <p class="problem" role="alert">${problem}</p>
    ${may
      ? html`<${Form} submit=${say.save} explain=${told} onSubmit=${async ({ name, description }) => void (await messenger.changeChat(chat_id, { name: name.trim(), description: description.trim() || null }))}>
          <${Field} label=${say.groupName} name="name" value=${chat.chat.name} maxlength="100" />
          <${Field} label=${say.description} name="description" value=${chat.chat.description ?? ""} />
        <//>`
      : chat.chat.description && html`<p dir="auto">${chat.chat.description}</p>`}
    <h3>${say.members(chat.chat.member_count)}</h3>
    <ul class="items members">
      ${everybody.map(({ profile, role }) => {
        const name = nameOf(profile);
        const isAbove = rank[chat.role] > rank[role] && profile.id !== own;
        return html`<li class="entry" key=${profile.id}>
          <${Avatar} id=${profile.id} name=${name} size="small" />
          <span><bdi>${name}</bdi><small>${profile.id === own ? `${say.you} · ` : ""}${say[role]}</small></span>
          ${isAbove &&
          html`<details class="actions" onClick=${closeMenu}>
            <summary aria-label=${say.actions(name)}>⋯</summary>
            <div>
              ${chat.role === "owner" && html`<button type="button" onClick=${() => act(() => messenger.changeRole(chat_id, profile.id, role === "admin" ? "member" : "admin"))}>${role === "admin" ? say.makeMember : say.makeAdmin}</button>
              <button type="button" onClick=${() => sure(say.handOverSure(name), () => messenger.changeRole(chat_id, profile.id, "owner"))}>${say.handOver}</button>`}
              <button type="button" onClick=${() => sure(say.removeSure(name), () => messenger.removeMember(chat_id, profile.id))}>${say.remove}</button>
            </div>
          </details>`}
        </li>`;
      })}
    </ul>
    ${may &&
    html`<${Form}
      submit=${say.add}
      explain=${told}
      onSubmit=${async () => {
        if (picked.length === 0) return undefined;
        await messenger.addMembers(chat_id, picked.map(({ id }) => id));
        setPicked([]);
        await session.loadMembers(chat_id);
        return undefined;
      }}
    >
      <${Picker} picked=${picked} onPick=${setPicked} without=${everybody.map(({ profile }) => profile.id)} />
    <//>`}
    <div class="danger">
      <button type="button" onClick=${() => sure(say.leaveSure, () => messenger.removeMember(chat_id, own), true)}>${say.leave}</button>
      ${chat.role === "owner" && html`<button type="button" onClick=${() => sure(say.deleteSure, () => messenger.deleteChat(chat_id), true)}>${say.deleteGroup}</button>`}
    </div>
  <//>`;
}

function Readers({ message, close }) {
  const [readers, setReaders] = useState(/** @type {any[] | null} */ (null));
  useEffect(() => {
    session.messenger.readers(message.chat_id, message.id).then(setReaders, () => setReaders([]));
  }, []);
  return html`<${Dialog} title=${say.readBy} onClose=${close}>
    ${readers === null
      ? html`<p>${say.loading}</p>`
      : readers.length === 0
        ? html`<p>${say.readByNobody}</p>`
        : html`<ul class="items">
            ${readers.map(({ profile, read_at }) => html`<li class="entry"><${Avatar} id=${profile.id} name=${nameOf(profile)} size="small" /><span><bdi>${nameOf(profile)}</bdi><small>${whenOf(moment(read_at))}</small></span></li>`)}
          </ul>`}
  <//>`;
}

function Help({ close }) {
  return html`<${Dialog} title=${say.help} onClose=${close}>
    <dl class="keys">${say.keys.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
  <//>`;
}

const LettersDialog = ({ close }) => html`<${Dialog} title=${say.letters} onClose=${close}><${Letters} /><//>`;

const SHOWN = { menu: Menu, profile: Profile, devices: Devices, events: Events, programs: Programs, password: Password, factor: Factor, ways: Ways, close_account: CloseAccount, new_group: NewGroup, group: Group, readers: Readers, help: Help, letters: LettersDialog };
