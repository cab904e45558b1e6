// What the review API says, as `portal/logic/review/view.py` has it.

import type { DrawnRegion } from "../viewer/draw.ts";

export type Verdict = "accepted" | "modified" | "rejected" | "missed";

export interface Code {
  value: string;
  scheme: string;
  meaning: string;
}

/** What the reader says of a finding. */
export interface Said {
  verdict: Verdict | null;
  code: Code;
  site: Code | null;
  rejection: string | null;
  regions: DrawnRegion[];
  note: string;
}

export interface Entry extends Said {
  finding_id: string;
}

export interface Proposed {
  finding_id: string;
  model_id: string;
  model_title: string;
  model_version: string;
  label: string;
  code: Code;
  site: Code | null;
  probability: number | null;
  operating_point: { threshold: number; sensitivity: number; specificity: number; chosen_on: string } | null;
  risk: string | null;
  band: string;
  local: { n: number; ppv: number | null } | null;
  place: { series_uid: string; sop_uid: string; frame: number };
  measurements: [string, string][];
  overlay_url: string;
  needs_verdict: boolean;
  said: Said | null;
}

export interface Draft {
  number: number;
  revision: number;
  version: number;
  status: string;
  stale: "" | "changed" | "signed";
  amends: number;
  author: string;
  impression: string;
  started_at: string;
  saved_at: string;
  submitted_by: string;
  submitted_at: string;
}

export interface ReviewView {
  study_uid: string;
  version: number;
  status: string;
  overlay_policy: "hidden" | "after_first_read" | "shown";
  kept_back: boolean;
  claim: { reader: string; since: string; until: string; mine: boolean };
  may: Record<"claim" | "take_over" | "write" | "first_read" | "submit" | "recall" | "discard" | "sign", boolean>;
  amends: number;
  reopened: boolean;
  draft: Draft | null;
  findings: Proposed[];
  missed: Entry[];
  others: { number: number; status: string; author: string; started_at: string }[];
}

export interface Report {
  number: number;
  findings: Entry[];
  text: string[];
  objects: { words: string; kind: string; url: string; size: number }[];
}

export interface Vocabulary {
  findings: Code[];
  sites: Code[];
  rejections: string[];
}
