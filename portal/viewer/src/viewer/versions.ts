// The versions of a study.

import type { FindingView, ModelView, VersionDetail, VersionView } from "../shared/api.d.ts";
import { ask } from "../shared/page.ts";
import type { Dataset } from "./dicom.ts";
import { text } from "./dicom.ts";
import { json, type Segmentations, UnavailableError } from "./source.ts";
import type { Stack } from "./stack.ts";

export type Version = VersionView;
export type VersionFinding = FindingView;
/** What one model said of a version. */
export type VersionResult = ModelView;
export type { VersionDetail };

const pathOf = (study: string): string => `/api/studies/${study}/versions`;

export const readVersions = (study: string): Promise<Version[]> => json(pathOf(study));

export const readVersion = (study: string, version: number): Promise<VersionDetail> => json(`${pathOf(study)}/${version}`);

/** Return the versions to be put beside the current one; that one too where several models have judged it. */
export const offered = (versions: Version[]): Version[] =>
  versions.filter((each) => !each.is_current || each.models.length > 1).reverse();

/** Return what a stack of now had in a version: what came later is left out. */
export function ofVersion(stack: Stack, detail: VersionDetail): Stack {
  const entry = detail.series.find((each) => each.series_uid === stack.series);
  const had = new Set(entry?.images.map((each) => each.sop_uid));
  const kept = stack.frames.flatMap((frame, index) => (had.has(frame.sop) ? [index] : []));
  return {
    ...stack,
    title: `${titleOf(detail)} · ${stack.title}`,
    ids: kept.map((index) => stack.ids[index]!),
    frames: kept.map((index) => stack.frames[index]!),
  };
}

/** Return which version it is, as the beginning of a sentence. */
export const titleOf = (version: Version): string => version.words.replace(/^v/, "V");

/** Return where the segmentations on a version come from, of one model or, with "", of all. */
export const segmentationsOfVersion = (study: string, version: number, model: string): Segmentations => {
  const path = `${pathOf(study)}/${version}/segmentations`;
  return {
    read: () => json<Dataset[]>(`${path}?model=${encodeURIComponent(model)}`),
    frame: async (instance, number) => {
      const response = await ask(`${path}/${text(instance, "00080018")}/frames/${number}`);
      if (!response.ok) throw new UnavailableError("The segmentation cannot be loaded");
      return new Uint8Array(await response.arrayBuffer());
    },
  };
};
