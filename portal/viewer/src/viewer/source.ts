// Where studies come from: the portal's own view of a study, and DICOMweb for all that is DICOM.

import type { FindingView, Problem, SeriesView, StudyView } from "../shared/api.d.ts";
import { ask } from "../shared/page.ts";
import type { Dataset, Element, Scale } from "./dicom.ts";
import { text } from "./dicom.ts";
import { onlyPart } from "./multipart.ts";

export type Finding = FindingView;

/** A series, its study where that is not the one of the page, and why it has no other planes where somebody knows. */
export type SeriesEntry = SeriesView & { study_uid?: string; no_planes?: string };

/** A study of the same patient. */
export interface Prior {
  study_uid: string;
  date: string;
  description: string;
  modalities: string;
}

const ROOT = "/dicomweb/studies";

/** Never a picture of something else: what cannot be had is said. */
export class UnavailableError extends Error {}

const JSON_TYPES = "application/dicom+json, application/json";
const early = new Map<string, Promise<Response>>();

/**
 * Ask for what the first image needs, all at once, while the viewer itself is still on its way. What the page brings of
 * the study is not asked for again.
 */
export function begin(study: string, series: string, sop: string, { entry = "", isOne = true }): void {
  if (entry) early.set(`/api/studies/${study}`, Promise.resolve(new Response(entry)));
  const asked: [string, string][] = [
    [frameUrl(study, series, sop, 1), NATIVE],
    ...(isOne ? [] : [[instanceUrl(study, series, sop), JSON_TYPES] satisfies [string, string]]),
    [`${ROOT}/${study}/series/${series}/metadata`, JSON_TYPES],
  ];
  for (const [path, accept] of asked) {
    const answer = ask(path, { headers: { Accept: accept } });
    answer.catch(() => early.delete(path));
    early.set(path, answer);
  }
}

/** Return an answer that was asked for early, once, or ask now. */
function request(path: string, accept: string, signal?: AbortSignal): Promise<Response> {
  const begun = early.get(path);
  early.delete(path);
  return begun ?? ask(path, { headers: { Accept: accept }, signal: signal ?? null });
}

export async function json<T>(path: string): Promise<T> {
  const response = await request(path, JSON_TYPES);
  if (response.status === 204) return [] as T;
  if (!response.ok) throw new UnavailableError(await problemOf(response));
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  return problem.title ?? "The image cannot be loaded";
}

export const readStudy = (study: string): Promise<StudyView> => json(`/api/studies/${study}`);

export const readSeries = (study: string, series: string): Promise<Dataset[]> =>
  json(`${ROOT}/${study}/series/${series}/metadata`);

/** Return what makes standardised uptake of the values of a PET series. */
export const readScale = (study: string, series: string): Promise<Scale> => json(`/api/studies/${study}/series/${series}/scale`);

const instanceUrl = (study: string, series: string, sop: string): string =>
  `${ROOT}/${study}/series/${series}/instances/${sop}/metadata`;

export const readInstance = (study: string, series: string, sop: string): Promise<Dataset[]> =>
  json(instanceUrl(study, series, sop));

export const frameUrl = (study: string, series: string, sop: string, frame: number): string =>
  `${ROOT}/${study}/series/${series}/instances/${sop}/frames/${frame}`;

/** Return the segmentations of a study, all their attributes. */
async function readSegmentations(study: string): Promise<Dataset[]> {
  const found = await json<Dataset[]>(`${ROOT}/${study}/series?Modality=SEG`);
  const sets = await Promise.all(found.map((set) => readSeries(study, text(set, "0020000E"))));
  return sets.flat();
}

/** Where segmentations come from: those on the current version of a study, or on one that it supersedes. */
export interface Segmentations {
  read: () => Promise<Dataset[]>;
  /** Fetch the pixels of one frame, 1 first. */
  frame: (instance: Dataset, number: number) => Promise<Uint8Array>;
}

/** Return where the segmentations on the current version of a study come from. */
export const segmentationsOf = (study: string): Segmentations => ({
  read: () => readSegmentations(study),
  frame: (instance, number) =>
    readFrame(frameUrl(study, text(instance, "0020000E"), text(instance, "00080018"), number), new AbortController().signal),
});

/** Return the other studies of the patient, the latest first. */
export async function readPriors(study: string): Promise<Prior[]> {
  const [own] = await json<Dataset[]>(`${ROOT}?StudyInstanceUID=${study}`);
  const patient = own ? text(own, "00100020") : "";
  if (!patient) return [];
  const found = await json<Dataset[]>(`${ROOT}?PatientID=${encodeURIComponent(patient)}`);
  return found
    .map((set) => ({
      study_uid: text(set, "0020000D"),
      date: text(set, "00080020"),
      description: text(set, "00081030"),
      modalities: (set["00080061"]?.Value ?? []).join(", "),
    }))
    .filter((each) => each.study_uid !== study)
    .sort((one, other) => other.date.localeCompare(one.date));
}

const NATIVE = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1';

/** Fetch the pixels of one frame (PS3.18 10.4), decoded by the server: no codec runs in the browser. */
export async function readFrame(url: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const response = await request(url, NATIVE, signal);
  if (!response.ok) throw new UnavailableError(await problemOf(response));
  return onlyPart(new Uint8Array(await response.arrayBuffer()), response.headers.get("Content-Type") ?? "");
}

/** Return the bytes of an element that metadata hold in base64 or refer to; empty where there are none. */
export async function readBulk(element: Element | undefined, signal: AbortSignal): Promise<Uint8Array> {
  if (element?.InlineBinary) return Uint8Array.from(atob(element.InlineBinary), (each) => each.charCodeAt(0));
  const path = element?.BulkDataURI && new URL(element.BulkDataURI, location.href).pathname;
  return path ? readFrame(path, signal) : new Uint8Array();
}

/** Fetch a picture as an object URL: answers are no-store, and what was just shown must not be asked for again. */
export async function readPicture(url: string): Promise<string> {
  const response = await ask(url);
  if (!response.ok) throw new UnavailableError(await problemOf(response));
  return URL.createObjectURL(await response.blob());
}
