// The last question before a signature.

import { h } from "./dom.ts";
import { lineOf } from "./cards.ts";
import { measuredLine } from "./measured.ts";
import type { Content } from "./state.ts";

/** Ask whether to sign this; resolves with the answer. */
export function confirmSigning(content: Content, version: number, amends: number): Promise<boolean> {
  const dialog = h("dialog", { id: "sign-dialog", "aria-labelledby": "sign-title" },
    h("h2", { id: "sign-title" }, amends ? `Sign this addendum to report ${amends}?` : "Sign this review?"),
    h("ul", { class: "plain" }, ...content.findings.map((each) => h("li", {}, lineOf(each))),
      ...content.measurements.map((each) => h("li", {}, measuredLine(each)))),
    h("p", { class: "prose" }, content.impression ? `Impression: ${content.impression}` : "No impression."),
    h("p", { class: "muted" }, `Of version ${version} of the study. What is signed does not change any more; an addendum can follow.`),
    h("form", { method: "dialog", class: "choices" },
      h("button", { value: "" , class: "quiet" }, "Not yet"), h("button", { value: "sign", class: "primary", autofocus: true }, "Sign")));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "sign");
      dialog.remove();
    });
  });
}
