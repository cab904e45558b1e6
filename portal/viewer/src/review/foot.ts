// What stands under the findings: the ways to end a review, and the reports that are signed.

import { button, h } from "./dom.ts";
import type { Report } from "./types.ts";

/** What the reader may do at the end, and how. */
export interface Ends {
  /** Null where there is nothing to reveal. */
  reveal: { words: string; act: () => void } | null;
  sign: (() => void) | null;
  handIn: (() => void) | null;
  amend: (() => void) | null;
  /** Null where nothing can be written. */
  undo: { isEmpty: boolean; act: () => void } | null;
}

/** Return the buttons that end a review. */
export function endsOf({ reveal, sign, handIn, amend, undo }: Ends): HTMLElement {
  return h("div", { class: "actions" },
    reveal && button(reveal.words, reveal.act, { class: "primary", "data-key": "reveal" }),
    sign && button("Sign…", sign, { class: "primary", "data-key": "sign", "aria-keyshortcuts": "Control+Enter" }),
    handIn && button("Hand in", handIn, { class: "primary", "data-key": "submit", "aria-keyshortcuts": "Control+Enter" }),
    undoButton(undo),
    amend && button("Write an addendum", amend, { "data-key": "amend" }));
}

function undoButton(undo: Ends["undo"]): HTMLElement {
  const made = button("Undo", () => undo?.act(), { "data-key": "undo", class: "quiet", "aria-keyshortcuts": "Control+Z" });
  made.disabled = undo?.isEmpty ?? true;
  made.hidden = undo === null;
  return made;
}

/** Return a signed report with the files in which it can be saved. */
export function reportOf(report: Report): HTMLElement {
  const [head = "", ...lines] = report.text;
  return h("article", { class: "card report", "aria-label": `Report ${report.number}` },
    h("h3", {}, `✓ ${head}`),
    h("ul", { class: "plain-lines" }, ...lines.map((each) => h("li", { class: "prose" }, each))),
    h("p", {}, "Save: ", ...report.objects.flatMap((each, index) => [index ? ", " : "", h("a", { href: each.url, download: true }, each.words)])));
}
