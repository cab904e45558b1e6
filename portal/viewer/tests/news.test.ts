import assert from "node:assert/strict";
import { test } from "node:test";

import { News, type Change, type Shown } from "../src/worklist/news.ts";

const SHOWN: Shown[] = [
  { uid: "1", fingerprint: "a", urgent: true },
  { uid: "2", fingerprint: "b", urgent: false },
];
const ALL = { filtered: false };

function change(more: Partial<Change>): Change {
  return { at: "", whole: false, rows: [], gone: [], ...more };
}

test("what is shown already is no news", () => {
  const news = new News();
  const rows = SHOWN.map((row) => ({ study_uid: row.uid, fingerprint: row.fingerprint, urgent: row.urgent }));
  news.hear(change({ rows, whole: true }), SHOWN, ALL);
  assert.equal(news.words(), "");
});

test("a study counts once, and no more when it is as it was", () => {
  const news = new News();
  for (const fingerprint of ["x", "y"]) news.hear(change({ rows: [{ study_uid: "2", fingerprint, urgent: false }] }), SHOWN, ALL);
  assert.equal(news.words(), "1 change – press r");
  news.hear(change({ rows: [{ study_uid: "2", fingerprint: "b", urgent: false }] }), SHOWN, ALL);
  assert.equal(news.words(), "");
});

test("urgent ones that a filter leaves out are not new", () => {
  const news = new News();
  const urgent = { study_uid: "9", fingerprint: "i", urgent: true };
  news.hear(change({ rows: [urgent], whole: true }), SHOWN, { filtered: true });
  assert.equal(news.words(), "");
  news.hear(change({ rows: [{ ...urgent, study_uid: "8" }] }), SHOWN, { filtered: true });
  assert.equal(news.words(), "1 new urgent – press r");
  news.clear();
  news.hear(change({ rows: [{ ...urgent, study_uid: "8" }, urgent], whole: true }), SHOWN, { filtered: true });
  assert.equal(news.words(), "");
});

test("urgent ones are said first, under a filter, too", () => {
  const news = new News();
  news.hear(change({ whole: true }), [], { filtered: true });
  news.hear(
    change({ rows: [
      { study_uid: "3", fingerprint: "c", urgent: true },
      { study_uid: "4", fingerprint: "d", urgent: false },
      { study_uid: "1", fingerprint: "z", urgent: true },
    ] }),
    SHOWN,
    { filtered: true },
  );
  assert.equal(news.words(), "1 new urgent – press r");
  news.hear(change({ gone: ["3"] }), SHOWN, { filtered: true });
  assert.equal(news.words(), "1 change – press r");
});

test("what left while nobody listened is noticed", () => {
  const news = new News();
  news.hear(change({ whole: true, rows: [{ study_uid: "2", fingerprint: "b", urgent: false }, { study_uid: "5", fingerprint: "e", urgent: false }] }), SHOWN, ALL);
  assert.equal(news.words(), "2 changes – press r");
  news.clear();
  assert.equal(news.words(), "");
});
