// Native pixel data (PS3.5 8.1.1, PS3.3 C.7.6.3) as values: what Cornerstone draws and measurements count. No DOM here.

import type { Dataset } from "./dicom.ts";
import { levels, number, numbers, text } from "./dicom.ts";

export type Samples = Uint8Array | Uint16Array | Int16Array | Int32Array | Float32Array;

export interface Pixels {
  /** Rescaled values, or red, green and blue of each pixel. */
  samples: Samples;
  isColour: boolean;
  lowest: number;
  highest: number;
}

/** One channel of a palette (PS3.3 C.7.9). */
export interface Lut {
  first: number;
  entries: Uint8Array;
}

const ENCAPSULATED = /^1\.2\.840\.10008\.1\.2\.(4\.|5$)/;

/** Return the values of a frame, 1 first, whose bytes came decoded; `factor` as of `Frame`. */
export function pixelsOf(instance: Dataset, frame: number, bytes: Uint8Array<ArrayBuffer>, palette: Lut[] | null, factor = 1): Pixels {
  const count = number(instance, "00280010", 0) * number(instance, "00280011", 0);
  if (palette) return coloured(fromPalette(storedOf(instance, bytes, count), palette));
  if (number(instance, "00280002", 1) > 1) return coloured(rgbOf(instance, bytes, count));
  const samples = times(factor, rescaled(instance, frame, storedOf(instance, bytes, count)));
  let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of samples) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return { samples, isColour: false, lowest, highest };
}

const coloured = (samples: Uint8Array): Pixels => ({ samples, isColour: true, lowest: 0, highest: 255 });

const times = (factor: number, samples: Samples): Samples =>
  factor === 1 ? samples : Float32Array.from(samples, (value) => value * factor);

function storedOf(instance: Dataset, bytes: Uint8Array<ArrayBuffer>, count: number): Samples {
  if (instance["7FE00008"]) return new Float32Array(checked(bytes, count * 4).slice(0, count * 4).buffer);
  if (instance["7FE00009"]) return Float32Array.from(new Float64Array(checked(bytes, count * 8).slice(0, count * 8).buffer));
  const [allocated, isSigned] = [number(instance, "00280100", 8), number(instance, "00280103", 0) === 1];
  const needed = Math.ceil((count * allocated) / 8);
  if (bytes.length < needed) throw new Error("The image came incomplete");
  if (allocated === 1) return Uint8Array.from({ length: count }, (_, at) => ((bytes[at >> 3] ?? 0) >> (at & 7)) & 1);
  const buffer = bytes.slice(0, needed).buffer;
  const stored = allocated === 8 ? new Uint8Array(buffer)
    : allocated === 16 ? (isSigned ? new Int16Array(buffer) : new Uint16Array(buffer))
      : Float32Array.from(isSigned ? new Int32Array(buffer) : new Uint32Array(buffer));
  return allocated <= 16 ? withoutOverlays(stored, number(instance, "00280101", allocated), allocated, isSigned) : stored;
}

/** Old images keep overlays in the bits above those that are stored. */
function withoutOverlays(samples: Samples, bits: number, allocated: number, isSigned: boolean): Samples {
  const result = isSigned && allocated === 8 ? Int16Array.from(samples) : samples;
  if (bits >= allocated && result === samples) return samples;
  const free = 32 - bits;
  for (let at = 0; at < result.length; at++) result[at] = isSigned ? (result[at]! << free) >> free : (result[at]! << free) >>> free;
  return result;
}

function rescaled(instance: Dataset, frame: number, stored: Samples): Samples {
  const level = levels(instance, frame).find((set) => set["00281053"]?.Value?.length) ?? instance;
  const [slope, intercept] = [number(level, "00281053", 1), number(level, "00281052", 0)];
  if (slope === 1 && intercept === 0) return stored;
  const fits = Number.isInteger(slope) && Number.isInteger(intercept)
    && stored.every((value) => Math.abs(value * slope + intercept) <= 32767);
  const result = fits ? new Int16Array(stored.length) : new Float32Array(stored.length);
  for (let at = 0; at < stored.length; at++) result[at] = stored[at]! * slope + intercept;
  return result;
}

function rgbOf(instance: Dataset, bytes: Uint8Array, count: number): Uint8Array {
  const kind = text(instance, "00280004");
  // The server hands compressed colour out as RGB, pixel by pixel.
  const isDecoded = ENCAPSULATED.test(text(instance, "00083002"));
  if (isDecoded || (kind === "RGB" && number(instance, "00280006", 0) === 0)) return checked(bytes, count * 3).slice(0, count * 3);
  const isHalved = kind === "YBR_FULL_422" && bytes.length < count * 3;
  const plain = isHalved ? widened(checked(bytes, count * 2), count) : interleaved(instance, checked(bytes, count * 3), count);
  if (kind !== "RGB") fromYbr(plain);
  return plain;
}

function checked<B extends ArrayBufferLike>(bytes: Uint8Array<B>, needed: number): Uint8Array<B> {
  if (bytes.length < needed) throw new Error("The image came incomplete");
  return bytes;
}

function interleaved(instance: Dataset, bytes: Uint8Array, count: number): Uint8Array {
  if (number(instance, "00280006", 0) === 0) return bytes.slice(0, count * 3);
  const result = new Uint8Array(count * 3);
  for (let at = 0; at < count; at++) {
    for (let channel = 0; channel < 3; channel++) result[at * 3 + channel] = bytes[channel * count + at]!;
  }
  return result;
}

/** Two pixels share their colour: Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2). */
function widened(bytes: Uint8Array, count: number): Uint8Array {
  const result = new Uint8Array(count * 3);
  for (let at = 0; at < count; at++) {
    const pair = (at >> 1) * 4;
    result.set([bytes[pair + (at & 1)]!, bytes[pair + 2]!, bytes[pair + 3]!], at * 3);
  }
  return result;
}

function fromYbr(samples: Uint8Array): void {
  const clamp = (value: number): number => Math.max(0, Math.min(255, Math.round(value)));
  for (let at = 0; at < samples.length; at += 3) {
    const [y, b, r] = [samples[at]!, samples[at + 1]! - 128, samples[at + 2]! - 128];
    samples[at] = clamp(y + 1.402 * r);
    samples[at + 1] = clamp(y - 0.344136 * b - 0.714136 * r);
    samples[at + 2] = clamp(y + 1.772 * b);
  }
}

function fromPalette(stored: Samples, palette: Lut[]): Uint8Array {
  const result = new Uint8Array(stored.length * 3);
  for (let at = 0; at < stored.length; at++) {
    palette.forEach(({ first, entries }, channel) => {
      const index = Math.min(entries.length - 1, Math.max(0, stored[at]! - first));
      result[at * 3 + channel] = entries[index]!;
    });
  }
  return result;
}

/** Return one channel of a palette, from its descriptor (0028,1101) and its data. */
export function lutOf(instance: Dataset, descriptor: string, data: Uint8Array): Lut {
  const [length, first, bits] = numbers(instance, descriptor);
  const count = length || 65536;
  // Of 16 bits the upper eight are what a screen shows; eight bits may still come one per word (PS3.3 C.7.6.3.1.6).
  const isWide = bits === 16 || data.length >= count * 2;
  const entries = Uint8Array.from({ length: count }, (_, at) => (isWide ? data[at * 2 + (bits === 16 ? 1 : 0)] : data[at]) ?? 0);
  return { first: first ?? 0, entries };
}
