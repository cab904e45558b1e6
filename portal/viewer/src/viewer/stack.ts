// The frames of a series in the order in which they are scrolled.

import { type Dataset, doseScale, type Frame, type Scale } from "./dicom.ts";
import { kept } from "./kept.ts";
import { know } from "./loader.ts";
import { readInstance, readScale, readSeries, type SeriesEntry } from "./source.ts";

export interface Stack {
  study: string;
  series: string;
  title: string;
  modality: string;
  /** Of the values; "" where they have none. */
  unit: string;
  ids: string[];
  frames: Frame[];
  /** Whether it is the first image alone, and the others are on their way. */
  isPart: boolean;
}

const WHOLE_MAY_TAKE_MS = 100;
const stacks = new Map<string, Promise<Stack>>();
const scales = new Map<string, Promise<Scale>>();

/** Return the scale of uptake, which takes all headers of a series; all others have theirs in each image. */
function scaleOf(study: string, entry: SeriesEntry): Promise<Scale | undefined> {
  if (entry.modality !== "PT") return Promise.resolve(undefined);
  return kept(scales, `${study}/${entry.series_uid}`, () =>
    readScale(study, entry.series_uid).catch(() => ({ factor: 1, unit: "", reason: "the scale cannot be loaded" })));
}

export const titleOf = (entry: SeriesEntry): string =>
  [entry.modality, entry.view, entry.description].filter(Boolean).join(" · ");

/** Return the stack of a series; its images in the order of the portal where that is known. */
export function stackOf(study: string, entry: SeriesEntry): Promise<Stack> {
  return kept(stacks, `${study}/${entry.series_uid}`, () =>
    Promise.all([readSeries(study, entry.series_uid), scaleOf(study, entry)])
      .then(([instances, scale]) => make(study, entry, instances, scale)));
}

/**
 * Return the first image of a series alone, or null where the whole series is at hand as soon: of a large series that
 * nobody has opened before, the server first reads each header.
 */
export async function firstOf(study: string, entry: SeriesEntry): Promise<Stack | null> {
  const [image, second] = entry.images;
  if (!image || !second) return null;
  const first = Promise.all([readInstance(study, entry.series_uid, image.sop_uid), scaleOf(study, entry)]).then(async ([instances, scale]) => {
    await new Promise((resolve) => { setTimeout(resolve, WHOLE_MAY_TAKE_MS); });
    const stack = { ...make(study, entry, instances, scale), isPart: true };
    return stack.ids.length ? stack : null;
  });
  return Promise.race([first, stackOf(study, entry).then(() => null, () => first)]).catch(() => null);
}

const noteOf = (scale: Scale | undefined): string => (scale?.reason ? `stored values: ${scale.reason}` : (scale?.unit ?? ""));

function make(study: string, entry: SeriesEntry, instances: Dataset[], scale?: Scale): Stack {
  const place = new Map(entry.images.map((image, index) => [image.sop_uid, index]));
  const known = instances
    .flatMap((instance) => know(study, instance, scale))
    .filter(({ frame }) => frame.rows > 0 && (place.size === 0 || place.has(frame.sop)));
  known.sort((one, other) =>
    (place.get(one.frame.sop) ?? 0) - (place.get(other.frame.sop) ?? 0) || one.frame.frame - other.frame.frame);
  return {
    study,
    series: entry.series_uid,
    title: [titleOf(entry), noteOf(scale ?? (entry.modality === "RTDOSE" && instances[0] ? doseScale(instances[0]) : undefined))].filter(Boolean).join(" · "),
    modality: entry.modality,
    unit: known[0]?.frame.unit ?? "",
    ids: known.map(({ id }) => id),
    frames: known.map(({ frame }) => frame),
    isPart: false,
  };
}
