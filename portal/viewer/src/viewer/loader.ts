// Cornerstone, started once; frames that are loaded, ahead of need, and dropped when the reader has gone elsewhere.

import { cache, imageLoader, init, metaData, type Types } from "@cornerstonejs/core";
import * as dicom from "@cornerstonejs/dicom-image-loader";

import type { Dataset, Frame } from "./dicom.ts";
import { frameOf } from "./dicom.ts";
import { frameUrl, readFrame } from "./source.ts";

const SCHEME = "firstread";
const KEPT_BYTES = 512 * 1024 * 1024;
const AHEAD = 8;
const AT_ONCE = 4;

const frames = new Map<string, Frame>();
const aborts = new Map<string, AbortController>();
let started: Promise<void> | undefined;

/** Start Cornerstone, once. */
export function start(): Promise<void> {
  return (started ??= begin());
}

async function begin(): Promise<void> {
  await init({ rendering: { preferSizeOverAccuracy: false } } as never);
  dicom.init({ maxWebWorkers: Math.min(4, Math.max(1, navigator.hardwareConcurrency - 1)) });
  cache.setMaxCacheSize(KEPT_BYTES);
  imageLoader.registerImageLoader(SCHEME, load as never);
  // Before the one of Cornerstone: the plane holds the aspect ratio of pixels that are not square.
  metaData.addProvider(provide, 10_000);
}

/** Make the frames of an instance known and return their ids, the first frame first. */
export function know(study: string, instance: Dataset): { id: string; frame: Frame }[] {
  const count = Math.max(1, Number(instance["00280008"]?.Value?.[0] ?? 1));
  return Array.from({ length: count }, (_, index) => {
    const frame = frameOf(instance, index + 1);
    const id = `${SCHEME}:${frameUrl(study, frame.series, frame.sop, frame.frame)}`;
    if (!frames.has(id)) {
      frames.set(id, frame);
      dicom.wadors.metaDataManager.add(id, instance as never);
    }
    return { id, frame };
  });
}

function provide(type: string, id: string): unknown {
  const frame = frames.get(id);
  if (type !== "imagePlaneModule" || !frame) return undefined;
  const { spacing, plane } = frame;
  const [across, down] = [plane?.across ?? [1, 0, 0], plane?.down ?? [0, 1, 0]];
  return {
    frameOfReferenceUID: frame.frameOfReference,
    rows: frame.rows,
    columns: frame.columns,
    imageOrientationPatient: [...across, ...down],
    rowCosines: across,
    columnCosines: down,
    imagePositionPatient: plane?.position ?? [0, 0, 0],
    pixelSpacing: [spacing.row, spacing.column],
    rowPixelSpacing: spacing.row,
    columnPixelSpacing: spacing.column,
    usingDefaultValues: false,
  };
}

function load(id: string, options: Record<string, unknown> = {}): Types.IImageLoadObject {
  const abort = new AbortController();
  aborts.set(id, abort);
  const promise = readFrame(id.slice(SCHEME.length + 1), abort.signal)
    .then(({ bytes, transferSyntax }) => dicom.createImage(id, bytes as never, transferSyntax, options as never))
    .finally(() => aborts.delete(id));
  return { promise: promise as Promise<Types.IImage>, cancelFn: () => abort.abort() };
}

/** Load a frame; the same promise for whoever asks while it is on its way. */
export const fetchImage = (id: string): Promise<Types.IImage> => imageLoader.loadAndCacheImage(id);

/** Keeps the neighbours of the frame that is looked at, and lets go of requests for what was passed. */
export class Ahead {
  #wanted: string[] = [];
  #running = 0;

  /** Turn to a frame of a stack. */
  turn(ids: readonly string[], at: number): void {
    const near = Array.from({ length: AHEAD }, (_, index) => [at + index + 1, at - index - 1]).flat();
    const around = new Set([at, ...near].map((index) => ids[index]).filter((id): id is string => id !== undefined));
    const mine = new Set(ids);
    for (const [id, abort] of aborts) if (mine.has(id) && !around.has(id)) abort.abort();
    around.delete(ids[at] ?? "");
    this.#wanted = [...around].filter((id) => !cache.getImageLoadObject(id));
    this.#next();
  }

  stop(): void {
    this.#wanted = [];
  }

  #next(): void {
    while (this.#running < AT_ONCE) {
      const id = this.#wanted.shift();
      if (!id) return;
      this.#running += 1;
      fetchImage(id).catch(() => undefined).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }
}
