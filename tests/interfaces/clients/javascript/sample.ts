// Compiled and never run: a program over the declarations, and the declarations over the modules that they declare.

import { Messenger, RequestError, Tokens, WebStorage, type ChatState, type Message } from "../../../../interfaces/clients/javascript/index.js";
import * as declared from "../../../../interfaces/clients/javascript/index.js";
import * as client from "../../../../interfaces/clients/javascript/client.js";
import * as core from "../../../../interfaces/clients/javascript/core.js";
import * as closing from "../../../../interfaces/clients/javascript/closing.js";
import * as storage from "../../../../interfaces/clients/javascript/storage.js";
import * as tokens from "../../../../interfaces/clients/javascript/tokens.js";

type Interface<T> = { [name in keyof T]: T[name] };

export const messenger: Interface<declared.Messenger> = null as unknown as client.Messenger;
export const machine: Interface<declared.Core> = null as unknown as core.Core;
export const session: Interface<declared.Tokens> = null as unknown as tokens.Tokens;
export const verdict: typeof declared.verdict = closing.verdict;
export const storages: declared.Storage[] = [new storage.MemoryStorage(), new storage.WebStorage(localStorage), new storage.IndexedDbStorage()];
export const built: ConstructorParameters<typeof client.Messenger> = null as unknown as ConstructorParameters<typeof declared.Messenger>;

async function echo(url: string): Promise<void> {
  const tokens = new Tokens({ url, fingerprint: "echo" });
  await tokens.signIn("echo@example.com", "Password1");
  const messenger = new Messenger({ url, tokens, storage: new WebStorage(localStorage), catchUp: true });
  messenger.on("message", ({ message }: { message: Message }) => {
    if (message.sender_id !== messenger.model.profileId) messenger.send(message.chat_id, message.text, message.id);
  });
  messenger.on("*", (change) => {
    if (change.type === "refused") console.warn(change.code, change.text);
  });
  await messenger.start();
  try {
    const { chat_id } = await messenger.createChat({ name: "Echo" });
    const chat: ChatState | undefined = messenger.model.chats.get(chat_id);
    const last: string = chat?.last_message?.text ?? "";
    messenger.send(chat_id, last);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
  }
  // @ts-expect-error: there is no such change
  messenger.on("nothing", () => {});
}

void echo;
