import assert from "node:assert/strict";
import { test } from "node:test";

import { Saver } from "../src/review/saver.ts";
import * as state from "../src/review/state.ts";
import type { Measured, Proposed } from "../src/review/types.ts";

const OPACITY = { value: "128309002", scheme: "SCT", meaning: "Opacity" };
const MASS = { value: "4147007", scheme: "SCT", meaning: "Mass" };
const LUNG = { value: "39607008", scheme: "SCT", meaning: "Lung" };
const SQUARE = { series_uid: "1.1", sop_uid: "1.1.1", frame: 1, outline: [{ x: 1, y: 1 }, { x: 5, y: 1 }, { x: 5, y: 5 }], holes: [] };
const LINE: Measured = {
  measurement_id: "2.25.8", shape: "length", series_uid: "1.1", sop_uid: "1.1.1", frame: 1, points: [{ x: 1, y: 1 }, { x: 5, y: 1 }],
  values: [], label: "", words: [],
};

function proposed(id: string, needs = true): Proposed {
  return {
    finding_id: id, result_id: "", model_id: "m@1", model_title: "M", model_version: "1", label: id, code: OPACITY, site: LUNG, probability: 0.9,
    operating_point: null, risk: "high", band: "", local: null, place: { series_uid: "1.1", sop_uid: "1.1.1", frame: 1, region: null },
    measurements: [], overlay_url: "", needs_verdict: needs, said: null,
  };
}

const [one, two, calm] = [proposed("1"), proposed("2"), proposed("3", false)];
const all = [one, two, calm];
const view = { version: 2, amends: 0, draft: null };

test("what was flagged needs a verdict, and what has a note", () => {
  assert.deepEqual(state.undecided(state.EMPTY, all), [one, two]);
  const some = state.withEntry(state.EMPTY, state.accepted(one));
  assert.deepEqual(state.undecided(some, all), [two]);
  const noted = state.withEntry(some, { ...state.modified(calm, {}), note: "hm" });
  assert.deepEqual(state.undecided(noted, all), [two, calm]);
});

test("the next finding is the next without a verdict, else the next", () => {
  assert.equal(state.nextOf(state.EMPTY, all, null), one);
  assert.equal(state.nextOf(state.EMPTY, all, "1"), two);
  assert.equal(state.nextOf(state.EMPTY, all, "2"), one);
  const done = [one, two].reduce((said, each) => state.withEntry(said, state.accepted(each)), state.EMPTY);
  assert.equal(state.nextOf(done, all, "2"), calm);
  assert.equal(state.nextOf(state.EMPTY, [], null), undefined);
});

test("a change back to what the model said is no change", () => {
  const mass = state.modified(one, { code: MASS });
  assert.equal(mass.verdict, "modified");
  assert.equal(state.modified(one, { code: OPACITY }, mass).verdict, null);
  assert.equal(state.modified(one, { regions: [SQUARE] }).verdict, "modified");
});

test("another verdict drops what only a modified finding may say, and keeps the note", () => {
  const mass = { ...state.modified(one, { code: MASS, regions: [SQUARE] }), note: "left" };
  assert.deepEqual(state.accepted(one, mass), {
    finding_id: "1", verdict: "accepted", code: OPACITY, site: LUNG, rejection: null, regions: [], note: "left",
  });
  assert.equal(state.accepted(one, state.rejected(one, "artefact")).rejection, null);
});

test("the body of a save", () => {
  const own = state.missed("2.25.5", MASS);
  const content = [state.accepted(one), state.modified(two, { regions: [SQUARE] }), own].reduce(state.withEntry, state.withMeasured({ ...state.EMPTY, impression: "I" }, LINE));
  assert.deepEqual(state.bodyOf(content, view), {
    number: 0, revision: 0, version: 2, amends: 0, impression: "I",
    measurements: [{ measurement_id: "2.25.8", shape: "length", series_uid: "1.1", sop_uid: "1.1.1", frame: 1, points: LINE.points, label: "" }],
    findings: [
      { finding_id: "1", verdict: "accepted", rejection: null, note: "" },
      {
        finding_id: "2", verdict: "modified", rejection: null, note: "",
        code: { value: "128309002", scheme: "SCT" }, site: { value: "39607008", scheme: "SCT" }, regions: [SQUARE],
      },
      { finding_id: "2.25.5", verdict: "missed", rejection: null, note: "", code: { value: "4147007", scheme: "SCT" }, site: null, regions: [] },
    ],
  });
});

test("what was taken back is not said, and a draft that was overtaken is not gone on with", () => {
  const content = state.withEntry(state.EMPTY, state.modified(one, {}));
  const draft = {
    number: 3, revision: 7, version: 2, status: "in progress" as const, stale: "signed" as const, amends: 0, author: "ann",
    author_role: "resident", impression: "", started_at: "", saved_at: "", first_read_at: "", submitted_by: "", submitted_at: "",
  };
  const body = state.bodyOf(content, { version: 2, amends: 4, draft });
  assert.deepEqual([body.findings, body.number, body.revision, body.amends], [[], 0, 0, 4]);
  const open = state.bodyOf(content, { version: 2, amends: 0, draft: { ...draft, stale: "" } });
  assert.deepEqual([open.number, open.revision], [3, 7]);
});

test("an addendum begins with the verdicts on what is still there", () => {
  const kept = { ...state.missed("2.25.5", MASS), result_id: "", label: "" };
  const report = { number: 1, measurements: [LINE], findings: [state.accepted(one), state.accepted(proposed("gone")), kept], text: [], objects: [] };
  const content = state.addendumTo(report, all);
  assert.deepEqual(content.findings.map((each) => each.finding_id), ["1", "2.25.5"]);
  assert.equal("label" in content.findings[1]!, false); // the server knows no such field
  assert.deepEqual([content.impression, content.measurements], ["", [LINE]]);
});

test("what the server has measured is taken, and what the reader has said meanwhile stays", () => {
  const content = state.withMeasured(state.EMPTY, { ...LINE, label: "nodule" });
  const told = [{ ...LINE, label: "nod", words: ["4.00 mm"] }];
  const after = state.withValues(content, told);
  assert.deepEqual(after.measurements.map(({ label, words }) => [label, words]), [["nodule", ["4.00 mm"]]]);
  assert.equal(state.withValues(after, told), after); // nothing new to be shown
  assert.equal(state.withValues(state.EMPTY, told), state.EMPTY); // taken out meanwhile
  assert.deepEqual(state.withoutMeasured(after, new Set(["2.25.8"])), state.EMPTY);
  assert.deepEqual([state.isEmpty(state.EMPTY), state.isEmpty(after)], [true, false]);
});

test("undo goes back step by step, typing at once", () => {
  const undo = new state.Undo();
  const texts = ["", "a", "ab"].map((impression) => ({ ...state.EMPTY, impression }));
  undo.push(texts[0]!, "impression");
  undo.push(texts[1]!, "impression");
  undo.push(texts[2]!);
  assert.equal(undo.pop(), texts[2]);
  assert.equal(undo.pop(), texts[0]);
  assert.equal(undo.pop(), undefined);
  assert.equal(undo.isEmpty, true);
});

test("a new UID is that of a random UUID", () => {
  assert.equal(state.newUid(new Uint8Array(16)), `2.25.${(0x40n << 72n) + (0x80n << 56n)}`);
  assert.match(state.newUid(), /^2\.25\.[1-9][0-9]{20,38}$/);
});

test("one save at a time, and again for what was changed meanwhile", async () => {
  const events: string[] = [];
  let release = (): void => undefined;
  const saver: Saver = new Saver(async () => {
    events.push("begin");
    await new Promise<void>((resolve) => { release = resolve; });
    events.push("end");
  });
  saver.touch();
  const done = saver.flush();
  assert.equal(saver.isBehind, false);
  saver.touch();
  assert.equal(saver.isBehind, true);
  const both = saver.flush();
  assert.deepEqual(events, ["begin"]);
  for (let step = 0; step < 2; step++) {
    release();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all([done, both]);
  assert.deepEqual(events, ["begin", "end", "begin", "end"]);
  assert.equal(saver.isDirty, false);
});

test("what could not be saved stays unsaved, unless it was given up", async () => {
  let gives = false;
  const saver: Saver = new Saver(() => {
    if (gives) saver.forget();
    return Promise.reject(new Error("no"));
  });
  saver.touch();
  await assert.rejects(saver.flush());
  assert.equal(saver.isDirty, true);
  gives = true;
  await assert.rejects(saver.flush());
  assert.equal(saver.isDirty, false);
});
