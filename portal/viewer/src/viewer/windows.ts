// Windows by name: those of CT, of uptake and of dose, and for all others what is stored, what is there, and everything.

import type { Types } from "@cornerstonejs/core";

import type { Frame, Window } from "./dicom.ts";
import { autoWindow } from "./quantities.ts";

export interface Preset {
  name: string;
  of: (frame: Frame, image: Types.IImage) => Window;
}

/** The narrowest window that shows something. */
export const narrowest = (frame: Frame): number => (frame.isFine ? 1e-6 : 1);

/** Return the ends of a linear window (PS3.3 C.11.2.1.2); with fractions those are at half its width (C.11.2.1.3). */
export const ends = ({ center, width }: Window, isFine: boolean): { lower: number; upper: number } =>
  isFine ? { lower: center - width / 2, upper: center + width / 2 }
    : { lower: center - 0.5 - (width - 1) / 2, upper: center - 0.5 + (width - 1) / 2 };

const auto = (frame: Frame, image: Types.IImage): Window => autoWindow(image.getPixelData(), narrowest(frame));
const full = (frame: Frame, image: Types.IImage): Window => {
  const [low, high] = [image.minPixelValue, image.maxPixelValue + (frame.isFine ? 0 : 1)];
  return { center: (low + high) / 2, width: Math.max(narrowest(frame), high - low) };
};
const stored = (frame: Frame, image: Types.IImage): Window => frame.window ?? auto(frame, image);
const fixed = (name: string, center: number, width: number): Preset => ({ name, of: () => ({ center, width }) });

const CT = [
  { name: "As stored", of: stored },
  fixed("Soft tissue", 40, 400),
  fixed("Lung", -600, 1500),
  fixed("Bone", 480, 2500),
  fixed("Brain", 40, 80),
];
const THERE = [{ name: "Automatic", of: auto }, { name: "Full range", of: full }];
const OTHERS = [{ name: "As stored", of: stored }, ...THERE];
// Of uptake, the stored windows of many scanners differ from slice to slice.
const UPTAKE = [fixed("SUV 0 to 5", 2.5, 5), fixed("SUV 0 to 10", 5, 10), ...OTHERS];
const DOSE = [fixed("0 to 20 Gy", 10, 20), fixed("0 to 70 Gy", 35, 70), ...THERE];

export function presetsOf(stack: { modality: string; unit: string } | null): Preset[] {
  if (stack?.unit.startsWith("SUV")) return UPTAKE;
  if (stack?.unit === "Gy") return DOSE;
  return stack?.modality === "CT" && stack.unit === "HU" ? CT : OTHERS;
}
