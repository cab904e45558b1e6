// The findings as cards: what a model said, what the reader says of it, and how to say something else.

import type { RegionKind } from "../viewer/draw.ts";
import { button, choice, h } from "./dom.ts";
import { type Content, entryOf } from "./state.ts";
import type { Code, Entry, Proposed, Rejection, Vocabulary } from "./types.ts";

const MOST_NOTE = 500;

/** What a card needs to know of the page, and what it may ask of it. */
export interface Table {
  readonly content: Content;
  readonly words: Vocabulary;
  readonly canWrite: boolean;
  readonly canDraw: boolean;
  readonly form: { id: string; kind: "modify" | "reject" } | null;
  go: (finding: Proposed) => void;
  goTo: (entry: Entry) => void;
  accept: (finding: Proposed) => void;
  reject: (finding: Proposed, reason: Rejection) => void;
  change: (finding: Proposed, change: Partial<Pick<Entry, "code" | "site">>) => void;
  correct: (entry: Entry) => void;
  open: (id: string, kind: "modify" | "reject") => void;
  draw: (id: string, kind: RegionKind) => void;
  erase: (id: string) => void;
  note: (id: string, text: string) => void;
  remove: (id: string) => void;
}

const percent = (value: number): string => `${Math.round(value * 100)}\u00a0%`;
const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** Return what is said of a finding, in a line. */
export function lineOf(entry: Entry): string {
  const what = [entry.code.meaning, entry.site?.meaning].filter(Boolean).join(", ");
  const drawn = entry.regions.length ? `, ${entry.regions.length} region${entry.regions.length === 1 ? "" : "s"} drawn` : "";
  const verdict = entry.verdict === "missed" ? "found by the reader" : entry.verdict ?? "undecided";
  return `${what}: ${verdict}${entry.rejection ? ` (${entry.rejection})` : ""}${drawn}`;
}

/** Return the card of a model's finding. */
export function card(finding: Proposed, table: Table): HTMLElement {
  const id = finding.finding_id;
  const entry = entryOf(table.content, id);
  const form = table.form?.id === id ? table.form.kind : null;
  const verdict = entry?.verdict ?? null;
  return h("article", { class: `card review-card${verdict ? ` is-${verdict}` : ""}`, "data-finding": id, "aria-label": finding.label },
    h("header", {},
      button(finding.label, () => table.go(finding), { class: "place", "data-key": `${id}/place`, title: "Show on the image" }),
      status(finding, entry)),
    ...facts(finding),
    entry && (verdict === "modified" || verdict === "rejected") && form === null && h("p", {}, h("b", {}, lineOf(entry))),
    table.canWrite && h("div", { class: "verdicts", role: "group", "aria-label": `Verdict on ${finding.label}` },
      toggle("Accept", "a", `${id}/accept`, verdict === "accepted", () => table.accept(finding)),
      toggle("Modify", "m", `${id}/modify`, verdict === "modified", () => table.open(id, "modify"), form === "modify"),
      toggle("Reject", "x", `${id}/reject`, verdict === "rejected", () => table.open(id, "reject"), form === "reject")),
    table.canWrite && form === "reject" && reasons(finding, entry, table),
    table.canWrite && form === "modify" && changes(finding, entry, table),
    entry?.verdict && noteOf(entry, table));
}

function toggle(words: string, key: string, name: string, isPressed: boolean, act: () => void, isOpen?: boolean): HTMLElement {
  const values = { "data-key": name, "aria-pressed": String(isPressed), "aria-keyshortcuts": key };
  const made = button(words, act, isOpen === undefined ? values : { ...values, "aria-expanded": String(isOpen) });
  made.append(" ", h("kbd", {}, key));
  return made;
}

function status(finding: Proposed, entry: Entry | undefined): HTMLElement {
  const verdict = entry?.verdict;
  if (verdict) return h("span", { class: `verdict verdict-${verdict}` }, `${{ accepted: "✓", modified: "✎", rejected: "✗", missed: "+" }[verdict]} ${capital(verdict)}`);
  return h("span", { class: `verdict${finding.needs_verdict ? " verdict-open" : ""}` }, finding.needs_verdict ? "○ Unconfirmed" : "– Not flagged");
}

function facts(finding: Proposed): (HTMLElement | false)[] {
  const { probability, operating_point: point, local } = finding;
  return [
    h("p", { class: "muted" }, [finding.code.meaning, finding.site?.meaning].filter(Boolean).join(", "), " ",
      h("span", { class: "mono" }, `${finding.code.scheme} ${finding.code.value}`)),
    point !== null && probability !== null && h("p", {},
      h("b", {}, percent(probability)), ` ${finding.band}. `,
      h("span", { class: "muted" }, `Chosen on ${point.chosen_on}: sensitivity ${percent(point.sensitivity)}, specificity ${percent(point.specificity)}.`)),
    local !== null && h("p", { class: "muted" }, local.ppv === null
      ? `Local PPV: too few to say (n = ${local.n})`
      : `Local PPV ${percent(local.ppv)} (n = ${local.n})`),
    ...finding.measurements.map(([name, value]) => h("p", {}, h("b", {}, value), ` ${name}`)),
    h("p", { class: "muted" }, `${finding.model_title} ${finding.model_version}`),
  ];
}

function reasons(finding: Proposed, entry: Entry | undefined, table: Table): HTMLElement {
  const id = finding.finding_id;
  return h("div", { class: "fields" },
    choice("Why", `${id}/reason`, table.words.rejections, capital, entry?.rejection,
      (reason) => reason && table.reject(finding, reason), entry?.rejection ? "" : "Choose a reason", "act"));
}

function changes(finding: Proposed, entry: Entry | undefined, table: Table): HTMLElement {
  const id = finding.finding_id;
  const now = entry?.verdict === "modified" ? entry : { code: finding.code, site: finding.site, regions: [] };
  return h("div", { class: "fields" },
    codes("Finding", `${id}/code`, table.words.findings, now.code, (code) => code && table.change(finding, { code })),
    codes("Site", `${id}/site`, table.words.sites, now.site, (site) => site && table.change(finding, { site }), finding.site ? "" : "Not said"),
    drawing(id, now.regions.length, table),
    entry?.verdict !== "modified" && h("p", { class: "muted" }, "Nothing is modified yet."));
}

function codes(label: string, key: string, known: Code[], chosen: Code | null, act: (code: Code | null) => void, none = ""): HTMLElement {
  const held = chosen && known.find((each) => each.value === chosen.value && each.scheme === chosen.scheme);
  const options = chosen && !held ? [chosen, ...known] : known;
  return choice(label, key, options, (each) => each.meaning, held ?? chosen, act, none);
}

function drawing(id: string, count: number, table: Table): HTMLElement | false {
  if (!table.canDraw) return false;
  return h("div", { class: "verdicts", role: "group", "aria-label": "Region" },
    button("Outline", () => table.draw(id, "polygon"), { "data-key": `${id}/polygon` }),
    button("Brush", () => table.draw(id, "brush"), { "data-key": `${id}/brush` }),
    count > 0 && button(`Remove ${count === 1 ? "the region" : `${count} regions`}`, () => table.erase(id), { "data-key": `${id}/erase`, class: "quiet" }));
}

function noteOf(entry: Entry, table: Table): HTMLElement | false {
  if (!table.canWrite) return entry.note ? h("p", { class: "prose" }, entry.note) : false;
  const area = h("textarea", { rows: "1", maxlength: String(MOST_NOTE), "data-key": `${entry.finding_id}/note`, autocomplete: "off" });
  area.value = entry.note;
  area.addEventListener("input", () => table.note(entry.finding_id, area.value));
  return h("label", { class: "note-field" }, "Note", area);
}

/** Return the card of a finding that no model has named. */
export function missedCard(entry: Entry, table: Table): HTMLElement {
  const id = entry.finding_id;
  return h("article", { class: "card review-card is-missed", "data-finding": id, "aria-label": entry.code.meaning },
    h("header", {},
      button(entry.code.meaning, () => table.goTo(entry), { class: "place", "data-key": `${id}/place` }),
      h("span", { class: "verdict verdict-missed" }, "+ Found by the reader")),
    !table.canWrite && h("p", { class: "muted" }, lineOf(entry)),
    table.canWrite && h("div", { class: "fields" },
      codes("Finding", `${id}/code`, table.words.findings, entry.code, (code) => code && table.correct({ ...entry, code })),
      codes("Site", `${id}/site`, table.words.sites, entry.site, (site) => table.correct({ ...entry, site }), "Not said"),
      drawing(id, entry.regions.length, table)),
    noteOf(entry, table),
    table.canWrite && button("Remove this finding", () => table.remove(id), { class: "quiet", "data-key": `${id}/remove` }));
}
