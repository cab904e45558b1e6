// What stands in the way of writing, and the way on.

import { button, h } from "./dom.ts";
import type { ReviewView } from "./types.ts";

/** What the reader may do about it. */
export interface Ways {
  takeOver: () => void;
  goOn: () => void;
  discard: () => void;
  amend: () => void;
  recall: () => void;
}

const clock = (text: string): string => `${text.slice(11, 16)} UTC`;

/** Return what is to be said of a review before anything else. */
export function notices(view: ReviewView, isAmending: boolean, ways: Ways): HTMLElement[] {
  const { claim, draft, may } = view;
  const found: HTMLElement[] = [];
  if (claim.reader && !claim.mine) {
    found.push(h("div", { class: "problem" }, h("p", {}, h("b", {}, claim.reader), ` has been reading this study since ${clock(claim.since)}.`),
      may.take_over && button("Take over", ways.takeOver, { "data-key": "take-over" })));
  }
  if (draft?.stale === "changed") {
    found.push(h("div", { class: "problem" }, h("p", {}, `The study has changed since this was written: it is version ${view.version} now.`),
      may.write && button(`Go on with version ${view.version}`, ways.goOn, { "data-key": "go-on" })));
  }
  if (draft?.stale === "signed" && !isAmending) {
    found.push(h("div", { class: "problem" }, h("p", {}, "Somebody has signed since this was begun. It can go on as an addendum, or be given up."),
      may.write && button("Go on as an addendum", ways.amend, { "data-key": "amend" }),
      may.discard && button("Give it up", ways.discard, { "data-key": "discard", class: "quiet" })));
  }
  if (draft?.status === "preliminary") {
    found.push(h("div", { class: "card" }, h("p", {}, "Handed in by ", h("b", {}, draft.submitted_by), ` at ${clock(draft.submitted_at)}, waits to be signed.`),
      may.recall && button(may.sign ? "Hand back" : "Take back", ways.recall, { "data-key": "recall" })));
  }
  for (const other of view.others.filter((each) => each.status !== "signed")) {
    found.push(h("p", { class: "muted" }, `${other.author} has a review too: ${other.status}, begun ${clock(other.started_at)}.`));
  }
  return found;
}
