// Windows by name: those of CT, and for all others what is stored, what is there, and everything.

import type { Types } from "@cornerstonejs/core";

import type { Frame, Window } from "./dicom.ts";
import { autoWindow } from "./quantities.ts";

export interface Preset {
  name: string;
  of: (frame: Frame, image: Types.IImage) => Window;
}

const auto = (_: Frame, image: Types.IImage): Window => autoWindow(image.getPixelData());
const full = (_: Frame, image: Types.IImage): Window => ({
  center: (image.minPixelValue + image.maxPixelValue + 1) / 2,
  width: Math.max(1, image.maxPixelValue - image.minPixelValue + 1),
});
const stored = (frame: Frame, image: Types.IImage): Window => frame.window ?? auto(frame, image);
const fixed = (name: string, center: number, width: number): Preset => ({ name, of: () => ({ center, width }) });

const CT = [
  { name: "As stored", of: stored },
  fixed("Soft tissue", 40, 400),
  fixed("Lung", -600, 1500),
  fixed("Bone", 480, 2500),
  fixed("Brain", 40, 80),
];
const OTHERS = [{ name: "As stored", of: stored }, { name: "Automatic", of: auto }, { name: "Full range", of: full }];

export const presetsOf = (modality: string): Preset[] => (modality === "CT" ? CT : OTHERS);
