// What the review API says, by the names that these scripts use; `npm run types` makes it of the OpenAPI document.

import type { Entries, MeasuredView, MissedView, ProposedView, ReportView, SaidView } from "../shared/api.d.ts";

export type { Code, Rejection, ReviewView, Verdict, Vocabulary } from "../shared/api.d.ts";

/** What the reader says of a finding. */
export type Said = SaidView;
export type Entry = MissedView;
export type Proposed = ProposedView;
/** Something that was measured; `values` and `words` are those of the server, empty until it has answered. */
export type Measured = MeasuredView;
export type Report = ReportView;
/** The body of a save. */
export type Save = Entries;
