export { verdict } from "./closing.js";
export { Messenger, RequestError } from "./client.js";
export { Core } from "./core.js";
export { Model } from "./model.js";
export { Outbox } from "./outbox.js";
export { IndexedDbStorage, MemoryStorage, WebStorage } from "./storage.js";
export { ApiError, Tokens } from "./tokens.js";
