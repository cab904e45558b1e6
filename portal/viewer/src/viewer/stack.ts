// The frames of a series in the order in which they are scrolled.

import type { Dataset, Frame } from "./dicom.ts";
import { kept } from "./kept.ts";
import { know } from "./loader.ts";
import { readInstance, readSeries, type SeriesEntry } from "./source.ts";

export interface Stack {
  study: string;
  series: string;
  title: string;
  modality: string;
  ids: string[];
  frames: Frame[];
  /** Whether it is the first image alone, and the others are on their way. */
  isPart: boolean;
}

const WHOLE_MAY_TAKE_MS = 100;
const stacks = new Map<string, Promise<Stack>>();

export const titleOf = (entry: SeriesEntry): string =>
  [entry.modality, entry.view, entry.description].filter(Boolean).join(" · ");

/** Return the stack of a series; its images in the order of the portal where that is known. */
export function stackOf(study: string, entry: SeriesEntry): Promise<Stack> {
  return kept(stacks, `${study}/${entry.series_uid}`, () =>
    readSeries(study, entry.series_uid).then((instances) => make(study, entry, instances)));
}

/**
 * Return the first image of a series alone, or null where the whole series is at hand as soon: of a large series that
 * nobody has opened before, the server first reads each header.
 */
export async function firstOf(study: string, entry: SeriesEntry): Promise<Stack | null> {
  const [image, second] = entry.images;
  if (!image || !second) return null;
  const first = readInstance(study, entry.series_uid, image.sop_uid).then(async (instances) => {
    await new Promise((resolve) => { setTimeout(resolve, WHOLE_MAY_TAKE_MS); });
    const stack = { ...make(study, entry, instances), isPart: true };
    return stack.ids.length ? stack : null;
  });
  return Promise.race([first, stackOf(study, entry).then(() => null, () => first)]).catch(() => null);
}

function make(study: string, entry: SeriesEntry, instances: Dataset[]): Stack {
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
    isPart: false,
  };
}
