// Prints what the rules of spectral find in JSON documents, for each file its faults: [{ "code", "at", "message" }, ...].
import { readFileSync } from "node:fs";

// Neither of them tells its names to modules.
import core from "@stoplight/spectral-core";
import parsers from "@stoplight/spectral-parsers";
import rulesets from "@stoplight/spectral-rulesets";

const WARNING = 1; // errors are 0, and hints are more

const spectral = new core.Spectral();
spectral.setRuleset({
  extends: [rulesets.oas, rulesets.asyncapi],
  rules: {
    // The paths of the original messenger end in a slash, and its clients keep working.
    "path-keys-no-trailing-slash": "off",
    "asyncapi-3-channel-no-trailing-slash": "off",
    // They are the operator's: API_CONTACT_NAME, API_CONTACT_EMAIL and API_DESCRIPTION.
    "info-contact": "off",
    "info-description": "off",
    "asyncapi-info-contact": "off",
    // The license of the messenger is none of the interface.
    "asyncapi-info-license": "off",
  },
});

const found = {};
for (const file of process.argv.slice(2)) {
  const document = new core.Document(readFileSync(file, "utf8"), parsers.Json, file);
  found[file] = (await spectral.run(document))
    .filter(({ severity }) => severity <= WARNING)
    .map(({ code, path, message }) => ({ code, at: path.join("."), message }));
}
console.log(JSON.stringify(found));
