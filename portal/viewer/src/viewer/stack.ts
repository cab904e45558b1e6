// The frames of a series in the order in which they are scrolled.

import type { Frame } from "./dicom.ts";
import { know } from "./loader.ts";
import { readSeries, type SeriesEntry } from "./source.ts";

export interface Stack {
  study: string;
  series: string;
  title: string;
  modality: string;
  ids: string[];
  frames: Frame[];
}

const kept = new Map<string, Promise<Stack>>();

export const titleOf = (entry: SeriesEntry): string =>
  [entry.modality, entry.view, entry.description].filter(Boolean).join(" · ");

/** Return the stack of a series; its images in the order of the portal where that is known. */
export function stackOf(study: string, entry: SeriesEntry): Promise<Stack> {
  const key = `${study}/${entry.series_uid}`;
  let stack = kept.get(key);
  if (!stack) {
    stack = make(study, entry);
    stack.catch(() => kept.delete(key));
    kept.set(key, stack);
  }
  return stack;
}

async function make(study: string, entry: SeriesEntry): Promise<Stack> {
  const instances = await readSeries(study, entry.series_uid);
  const place = new Map(entry.images.map((image, index) => [image.sop_uid, index]));
  const known = instances
    .flatMap((instance) => know(study, instance))
    .filter(({ frame }) => frame.rows > 0 && (place.size === 0 || place.has(frame.sop)));
  known.sort((one, other) =>
    (place.get(one.frame.sop) ?? 0) - (place.get(other.frame.sop) ?? 0) || one.frame.frame - other.frame.frame);
  return {
    study,
    series: entry.series_uid,
    title: titleOf(entry),
    modality: entry.modality,
    ids: known.map(({ id }) => id),
    frames: known.map(({ frame }) => frame),
  };
}
