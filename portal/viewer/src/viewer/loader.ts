// Cornerstone, started once; frames that are loaded, ahead of need, and dropped when the reader has gone elsewhere.

import { cache, getRenderingCapabilities, imageLoader, init, metaData, RenderingEngine, type Types, utilities } from "@cornerstonejs/core";

import type { Dataset, Frame, Scale } from "./dicom.ts";
import { frameOf, number, text } from "./dicom.ts";
import { type Lut, lutOf, type Pixels, pixelsOf } from "./pixels.ts";
import { frameUrl, readBulk, readFrame } from "./source.ts";

const SCHEME = "firstread";
const KEPT_BYTES = 512 * 1024 * 1024;
const AHEAD = 8;
const AT_ONCE = 4;

interface Known {
  instance: Dataset;
  frame: Frame;
}

const known = new Map<string, Known>();
const aborts = new Map<string, AbortController>();
let started: Promise<unknown> | undefined;

/** Start Cornerstone, once. */
export async function start(): Promise<void> {
  await (started ??= begin());
}

async function begin(): Promise<void> {
  if (!getRenderingCapabilities().webgl2) throw new Error("This browser has no WebGL 2.");
  // Each context takes time before the first image; one draws all panes, as they are drawn one after the other anyway.
  await init({ debug: { statsOverlay: false }, rendering: { webGlContextCount: 1 } });
  cache.setMaxCacheSize(KEPT_BYTES);
  imageLoader.registerImageLoader(SCHEME, load);
  metaData.addProvider(provide, 1000);
}

/**
 * Make the engine that draws. Its context does not smooth edges, as it would unless told: of a picture on a rectangle
 * no edge is seen, and where there is no graphics card, as on many remote desktops, it is a third of the time per image.
 */
export function makeEngine(): RenderingEngine {
  const { prototype } = HTMLCanvasElement;
  const { getContext } = prototype;
  const plain = function (this: HTMLCanvasElement, kind: string, options?: object): RenderingContext | null {
    return getContext.call(this, kind, { ...options, antialias: false });
  };
  Object.assign(prototype, { getContext: plain });
  try {
    return new RenderingEngine("firstread");
  } finally {
    Object.assign(prototype, { getContext });
  }
}

/** Make the frames of an instance known and return their ids, the first frame first. */
export function know(study: string, instance: Dataset, scale?: Scale): { id: string; frame: Frame }[] {
  const count = Math.max(1, number(instance, "00280008", 1));
  return Array.from({ length: count }, (_, index) => {
    const frame = frameOf(instance, index + 1, scale);
    const id = `${SCHEME}:${frameUrl(study, frame.series, frame.sop, frame.frame)}`;
    known.set(id, { instance, frame });
    return { id, frame };
  });
}

function provide(type: string, id: string): unknown {
  const found = known.get(id);
  return found && PROVIDED[type]?.(found);
}

// Values arrive rescaled and colour as RGB, so that is what they are called.
const PROVIDED: Record<string, (found: Known) => unknown> = {
  imagePlaneModule: ({ frame: { spacing, plane, rows, columns, frameOfReference } }) => {
    const [across, down] = [plane?.across ?? [1, 0, 0], plane?.down ?? [0, 1, 0]];
    return {
      frameOfReferenceUID: frameOfReference,
      rows,
      columns,
      imageOrientationPatient: [...across, ...down],
      rowCosines: across,
      columnCosines: down,
      imagePositionPatient: plane?.position ?? [0, 0, 0],
      pixelSpacing: [spacing.row, spacing.column],
      rowPixelSpacing: spacing.row,
      columnPixelSpacing: spacing.column,
    };
  },
  imagePixelModule: ({ instance, frame }) => ({
    samplesPerPixel: frame.isColour ? 3 : 1,
    photometricInterpretation: frame.isColour ? "RGB" : text(instance, "00280004"),
    rows: frame.rows,
    columns: frame.columns,
    // Values with fractions become floating point numbers in a volume.
    bitsAllocated: frame.isColour ? 8 : frame.isFine ? 32 : Math.max(8, number(instance, "00280100", 16)),
    bitsStored: frame.isColour ? 8 : number(instance, "00280101", 16),
    highBit: frame.isColour ? 7 : number(instance, "00280102", 15),
    pixelRepresentation: frame.isColour ? 0 : number(instance, "00280103", 0),
  }),
  generalSeriesModule: ({ frame }) => ({ modality: frame.modality, seriesInstanceUID: frame.series }),
  voiLutModule: ({ frame: { window } }) => ({
    windowCenter: window ? [window.center] : undefined, windowWidth: window ? [window.width] : undefined,
  }),
  modalityLutModule: ({ instance }) => ({ rescaleSlope: number(instance, "00281053", 1), rescaleIntercept: number(instance, "00281052", 0) }),
};

function load(id: string): Types.IImageLoadObject {
  const abort = new AbortController();
  const found = known.get(id);
  aborts.set(id, abort);
  const promise = (found ? make(id, found, abort.signal) : Promise.reject(new Error("no such image"))).finally(() => aborts.delete(id));
  return { promise, cancelFn: () => abort.abort() };
}

async function make(id: string, { instance, frame }: Known, signal: AbortSignal): Promise<Types.IImage> {
  const url = id.slice(SCHEME.length + 1);
  const [bytes, palette] = await Promise.all([readFrame(url, signal), paletteOf(instance, signal)]);
  return imageOf(id, frame, text(instance, "00280004"), pixelsOf(instance, frame.frame, bytes, palette, frame.factor));
}

const CHANNELS = ["1", "2", "3"];

async function paletteOf(instance: Dataset, signal: AbortSignal): Promise<Lut[] | null> {
  if (text(instance, "00280004") !== "PALETTE COLOR") return null;
  return Promise.all(CHANNELS.map(async (channel) => {
    const data = await readBulk(instance[`0028120${channel}`], signal);
    return lutOf(instance, `0028110${channel}`, data);
  }));
}

function imageOf(id: string, frame: Frame, photometric: string, pixels: Pixels): Types.IImage {
  const { samples, isColour, lowest, highest } = pixels;
  const { rows, columns, spacing } = frame;
  const components = isColour ? 3 : 1;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    width: columns, height: rows, scalarData: samples as Types.PixelDataTypedArray, numberOfComponents: components,
  });
  return {
    imageId: id,
    dataType: samples.constructor.name as Types.IImage["dataType"],
    color: isColour,
    rgba: false,
    numberOfComponents: components,
    rows,
    columns,
    height: rows,
    width: columns,
    rowPixelSpacing: spacing.row,
    columnPixelSpacing: spacing.column,
    slope: 1,
    intercept: 0,
    minPixelValue: lowest,
    maxPixelValue: highest,
    windowCenter: frame.window?.center ?? (lowest + highest) / 2,
    windowWidth: frame.window?.width ?? Math.max(1, highest - lowest),
    voiLUTFunction: "LINEAR",
    photometricInterpretation: isColour ? "RGB" : photometric,
    invert: false,
    sizeInBytes: samples.byteLength,
    voxelManager,
    getPixelData: () => samples,
    getCanvas: undefined,
  } as unknown as Types.IImage;
}

/** Load a frame; the same promise for whoever asks while it is on its way. */
export function fetchImage(id: string): Promise<Types.IImage> {
  // Put there by ourselves: the library leaves this promise alone, and each request that is let go of would be an error.
  if (!cache.getImageLoadObject(id)) cache.putImageLoadObject(id, load(id)).catch(() => undefined);
  return imageLoader.loadAndCacheImage(id);
}

/** Load many frames, a few at once; tells which part of them is there, and throws where `signal` gives up. */
export async function fetchAll(ids: readonly string[], progress: (part: number) => void, signal: AbortSignal): Promise<void> {
  const waiting = [...ids];
  let done = 0;
  const work = async (): Promise<void> => {
    for (let id = waiting.shift(); id; id = waiting.shift()) {
      await fetchImage(id);
      signal.throwIfAborted();
      done += 1;
      progress(done / ids.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

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
  }

  /** Begin; once the frame that is looked at is there, so that nothing competes with it. */
  go(): void {
    while (this.#running < AT_ONCE) {
      const id = this.#wanted.shift();
      if (!id) return;
      this.#running += 1;
      fetchImage(id).catch(() => undefined).finally(() => {
        this.#running -= 1;
        this.go();
      });
    }
  }

  stop(): void {
    this.#wanted = [];
  }
}
