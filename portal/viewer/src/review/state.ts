// What a reader says of a study, and how it changes: nothing here knows the page or the server.

import type { Code, Entry, Measured, Proposed, Rejection, ReviewView, Save } from "./types.ts";

export interface Content {
  readonly findings: readonly Entry[];
  readonly measurements: readonly Measured[];
  readonly impression: string;
}

export const EMPTY: Content = { findings: [], measurements: [], impression: "" };

/** Return what a review says, as the server has it. */
export function contentOf(view: ReviewView): Content {
  const judged = view.findings.flatMap(({ finding_id, said }) => (said ? [{ ...said, finding_id }] : []));
  return { findings: [...judged, ...view.missed], measurements: view.measurements, impression: view.draft?.impression ?? "" };
}

/** Return what an addendum begins with: what was measured, the signed verdicts that still concern something, and no impression. */
export function addendumTo(report: Pick<Content, "findings" | "measurements">, proposed: readonly Proposed[]): Content {
  const known = new Set(proposed.map((each) => each.finding_id));
  const findings = report.findings
    .filter((each) => each.verdict === "missed" || known.has(each.finding_id))
    .map(({ finding_id, verdict, code, site, rejection, regions, note }) =>
      ({ finding_id, verdict, code, site, rejection, regions, note }));
  return { findings, measurements: report.measurements, impression: "" };
}

export const entryOf = (content: Content, id: string): Entry | undefined =>
  content.findings.find((each) => each.finding_id === id);

/** Return the findings of models that need a verdict and have none, in their order; one with a note needs one too. */
export function undecided(content: Content, proposed: readonly Proposed[]): Proposed[] {
  return proposed.filter((each) => {
    const entry = entryOf(content, each.finding_id);
    return !entry?.verdict && (each.needs_verdict || Boolean(entry?.note));
  });
}

/** Return the finding to go on with after another: the next one without a verdict, else simply the next. */
export function nextOf(content: Content, proposed: readonly Proposed[], after: string | null): Proposed | undefined {
  const at = proposed.findIndex((each) => each.finding_id === after);
  const rest = [...proposed.slice(at + 1), ...proposed.slice(0, at + 1)];
  const open = new Set(undecided(content, proposed));
  return rest.find((each) => open.has(each)) ?? rest[0];
}

const same = (one: Code | null, other: Code | null): boolean =>
  one?.value === other?.value && one?.scheme === other?.scheme;

const fresh = (finding: Proposed, before: Entry | undefined): Entry => ({
  finding_id: finding.finding_id, verdict: null, code: finding.code, site: finding.site, rejection: null, regions: [],
  note: before?.note ?? "",
});

export function accepted(finding: Proposed, before?: Entry): Entry {
  return { ...fresh(finding, before), verdict: "accepted" };
}

export function rejected(finding: Proposed, reason: Rejection, before?: Entry): Entry {
  return { ...fresh(finding, before), verdict: "rejected", rejection: reason };
}

/** Return a finding with some of it changed; undecided where that makes it what the model said. */
export function modified(finding: Proposed, change: Partial<Pick<Entry, "code" | "site" | "regions">>, before?: Entry): Entry {
  const start = before?.verdict === "modified" ? before : fresh(finding, before);
  const entry = { ...start, ...change };
  const differs = !same(entry.code, finding.code) || !same(entry.site, finding.site) || entry.regions.length > 0;
  return { ...entry, verdict: differs ? "modified" : null };
}

export function missed(id: string, code: Code): Entry {
  return { finding_id: id, verdict: "missed", code, site: null, rejection: null, regions: [], note: "" };
}

/** Return what is said, with one finding put in its place. */
export function withEntry(content: Content, entry: Entry): Content {
  const isKnown = entryOf(content, entry.finding_id) !== undefined;
  const findings = isKnown
    ? content.findings.map((each) => (each.finding_id === entry.finding_id ? entry : each))
    : [...content.findings, entry];
  return { ...content, findings };
}

export const without = (content: Content, id: string): Content =>
  ({ ...content, findings: content.findings.filter((each) => each.finding_id !== id) });

/** Return what is said, with one measurement put in its place. */
export function withMeasured(content: Content, made: Measured): Content {
  const at = content.measurements.findIndex((each) => each.measurement_id === made.measurement_id);
  const measurements = at < 0 ? [...content.measurements, made] : content.measurements.with(at, made);
  return { ...content, measurements };
}

export const withoutMeasured = (content: Content, ids: ReadonlySet<string>): Content =>
  ({ ...content, measurements: content.measurements.filter((each) => !ids.has(each.measurement_id)) });

/** Return what is said, with the values that the server has made of what was measured; the same where there are no new ones. */
export function withValues(content: Content, told: readonly Measured[]): Content {
  const known = new Map(told.map((each) => [each.measurement_id, each]));
  const isNew = (each: Measured): boolean => each.words.length === 0 && known.has(each.measurement_id);
  if (!content.measurements.some(isNew)) return content;
  const measurements = content.measurements.map((each) => (isNew(each) ? { ...known.get(each.measurement_id)!, label: each.label } : each));
  return { ...content, measurements };
}

/** Whether there is anything to sign. */
export const isEmpty = ({ findings, measurements, impression }: Content): boolean =>
  findings.length === 0 && measurements.length === 0 && impression.trim() === "";

/** Return a new UID for a finding that no model has named, or for a measurement (PS3.5 B.2). */
export function newUid(bytes: Uint8Array = crypto.getRandomValues(new Uint8Array(16))): string {
  const uuid = Uint8Array.from(bytes);
  uuid[6] = (uuid[6]! & 0x0f) | 0x40;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return `2.25.${[...uuid].reduce((sum, each) => sum * 256n + BigInt(each), 0n)}`;
}

const codeOf = (code: Code | null): { value: string; scheme: string } | null =>
  code && { value: code.value, scheme: code.scheme };

/** Return the body of a save (`portal.logic.review.entries.Entries`). */
export function bodyOf(content: Content, view: Pick<ReviewView, "version" | "amends" | "draft">): Save {
  const own = view.draft?.stale === "signed" ? null : view.draft;
  return {
    number: own?.number ?? 0,
    revision: own?.revision ?? 0,
    version: view.version,
    amends: view.amends,
    impression: content.impression,
    measurements: content.measurements.map(({ measurement_id, shape, series_uid, sop_uid, frame, points, label }) =>
      ({ measurement_id, shape, series_uid, sop_uid, frame, points, label })),
    findings: content.findings
      // What was taken back entirely is not said at all.
      .filter((each) => each.verdict !== null || each.note !== "")
      .map(({ finding_id, verdict, code, site, rejection, regions, note }) => ({
        finding_id, verdict, rejection, note,
        ...(verdict === "modified" || verdict === "missed" ? { code: codeOf(code), site: codeOf(site), regions } : {}),
      })),
  };
}

const MOST_STEPS = 200;

/** What was said before each change; typing in one field is one change. */
export class Undo {
  #steps: Content[] = [];
  #field = "";

  /** Remember what was said before a change; `field` where the change is a keystroke in it. */
  push(before: Content, field = ""): void {
    if (field && field === this.#field) return;
    this.#field = field;
    this.#steps.push(before);
    if (this.#steps.length > MOST_STEPS) this.#steps.shift();
  }

  pop(): Content | undefined {
    this.#field = "";
    return this.#steps.pop();
  }

  clear(): void {
    this.#steps = [];
    this.#field = "";
  }

  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }
}
