import assert from "node:assert/strict";
import { test } from "node:test";

import { waiting } from "../src/shared/words.ts";

test("a wait is worded as on the server", () => {
  const now = Date.parse("2026-01-03T12:00:00Z");
  const cases: [string, string][] = [
    ["2026-01-03T11:59:30Z", "< 1 min"],
    ["2026-01-03T11:48:00Z", "12 min"],
    ["2026-01-03T08:55:00Z", "3 h 05 min"],
    ["2026-01-01T08:00:00Z", "2 d 4 h"],
    ["2026-01-03T12:00:30Z", "< 1 min"],
  ];
  for (const [since, words] of cases) assert.equal(waiting(since, now), words);
});
