// What has changed since the list was shown, counted as a reader would.

import type { Change } from "../shared/api.d.ts";

export type { Change };

/** A row as it is shown. */
export interface Shown {
  uid: string;
  fingerprint: string;
  urgent: boolean;
}

/** Studies that differ from what is shown; each counts once, however often it changes. */
export class News {
  #changed = new Set<string>();
  #urgent = new Set<string>();
  #known = new Set<string>(); // urgent ones that a filter may leave out and that are not new
  #begun = false;

  /** Return how many urgent studies are new. */
  get urgent(): number {
    return this.#urgent.size;
  }

  /** Take in a change. Where a filter is on, a study that is not shown counts only if it is urgent. */
  hear(change: Change, shown: readonly Shown[], { filtered }: { filtered: boolean }): void {
    const known = new Map(shown.map((row) => [row.uid, row]));
    for (const mark of change.rows) {
      const row = known.get(mark.study_uid);
      const same = row?.fingerprint === mark.fingerprint;
      this.#put(this.#changed, mark.study_uid, row ? !same : !filtered);
      if (!mark.urgent) this.#known.delete(mark.study_uid);
      else if (!this.#begun) this.#known.add(mark.study_uid);
      const isKnown = filtered && this.#known.has(mark.study_uid);
      this.#put(this.#urgent, mark.study_uid, mark.urgent && !row?.urgent && !isKnown);
    }
    this.#begun = true;
    for (const uid of change.gone) this.#leave(uid, known.has(uid));
    if (!change.whole || filtered) return;
    const there = new Set(change.rows.map((mark) => mark.study_uid));
    for (const row of shown.slice(0, change.rows.length)) {
      if (!there.has(row.uid)) this.#leave(row.uid, true);
    }
  }

  /** Forget everything: the list is fresh. */
  clear(): void {
    for (const uid of this.#urgent) this.#known.add(uid);
    this.#changed.clear();
    this.#urgent.clear();
  }

  /** Say it in words; "" for nothing new. */
  words(): string {
    if (this.#urgent.size) return `${this.#urgent.size} new urgent – press r`;
    const count = this.#changed.size;
    return count ? `${count} change${count === 1 ? "" : "s"} – press r` : "";
  }

  #leave(uid: string, isShown: boolean): void {
    this.#urgent.delete(uid);
    this.#put(this.#changed, uid, isShown);
  }

  #put(set: Set<string>, uid: string, belongs: boolean): void {
    if (belongs) set.add(uid);
    else set.delete(uid);
  }
}
