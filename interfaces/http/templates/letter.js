
"use strict";
// The forms work without this script. With it nothing that was typed is lost while the server cannot be reached, and a
// second press of the button does not send the form twice.
(() => {
  const form = document.querySelector("form");
  if (!form) return;
  const button = form.querySelector("button");
  const {first, second} = form.elements;

  const complain = (problem) => {
    for (const line of form.querySelectorAll("[data-problem]")) line.hidden = line.dataset.problem !== problem;
    button.disabled = false;
    (problem && first ? first : button).focus();
  };

  // The address of this page. Without a token it is answered even while storage is away: the form then says so itself.
  const [here] = Object.values(document.body.dataset);

  const answers = async () => {
    try {
      return (await fetch(here, {method: "HEAD", cache: "no-store"})).status < 500;
    } catch {
      return false;
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (first && first.value !== second.value) return complain("differ");
    button.disabled = true;
    if (await answers()) form.submit();
    else complain("failed");
  });
  // A browser that goes back to the page shows it as it was left.
  addEventListener("pageshow", () => { button.disabled = false; });
})();
