// DICOM JSON (PS3.18 F.2), and what the viewer has to know of one frame.

export interface Element {
  vr: string;
  Value?: unknown[];
  InlineBinary?: string;
  BulkDataURI?: string;
}

export type Dataset = Record<string, Element>;

export type Vector = [number, number, number];

/** Distance of neighbouring pixel centres in mm: `row` from row to row, `column` from column to column. */
export interface Spacing {
  row: number;
  column: number;
  /** In the patient, at the detector (a projection is larger than what it shows), or not known: a mere ratio. */
  kind: "patient" | "detector" | "unknown";
}

export interface Plane {
  /** Direction of a row and of a column (0020,0037). */
  across: Vector;
  down: Vector;
  /** Centre of the first pixel (0020,0032). */
  position: Vector;
}

export interface Window {
  center: number;
  width: number;
}

/** One frame, as far as it does not need its pixels. */
export interface Frame {
  series: string;
  sop: string;
  /** 1 first. */
  frame: number;
  rows: number;
  columns: number;
  modality: string;
  spacing: Spacing;
  plane: Plane | null;
  /** Where a row and a column lead to (0020,0020), for images without a plane. */
  patientOrientation: [string, string] | null;
  frameOfReference: string;
  /** The first stored window, or null. */
  window: Window | null;
  voiFunction: string;
  isColour: boolean;
  /** Of a pixel value, such as HU; "" where it has none. */
  unit: string;
  /** By which rescaled values are multiplied to have that unit. */
  factor: number;
  /** Whether values have fractions that matter, so that windows narrower than 1 have a meaning. */
  isFine: boolean;
}

/** What makes values of the unit that readers expect of the values of a series; "" of both where there is no other. */
export interface Scale {
  factor: number;
  unit: string;
  /** Why values are shown as they are stored. */
  reason: string;
}

export const text = (set: Dataset, tag: string): string => {
  const value = set[tag]?.Value?.[0];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};

export const numbers = (set: Dataset, tag: string): number[] =>
  (set[tag]?.Value ?? []).map(Number).filter(Number.isFinite);

export const number = (set: Dataset, tag: string, other: number): number => numbers(set, tag)[0] ?? other;

export const items = (set: Dataset | undefined, tag: string): Dataset[] => (set?.[tag]?.Value ?? []) as Dataset[];

/** Return what holds for one frame of an instance: its own groups, the shared ones, the top level (PS3.3 C.7.6.16). */
export function levels(instance: Dataset, frame: number): Dataset[] {
  const groups = [items(instance, "52009230")[frame - 1], items(instance, "52009229")[0]];
  const inner = groups.flatMap((group) => Object.values(group ?? {}))
    .flatMap((element) => (element.vr === "SQ" ? ((element.Value ?? []) as Dataset[]).slice(0, 1) : []));
  return [...inner, instance];
}

/** Return the scale of a dose (PS3.3 C.8.8.3): it is in the object itself. */
export function doseScale(instance: Dataset): Scale {
  const factor = number(instance, "3004000E", 0);
  if (text(instance, "30040002") !== "GY") return { factor: 1, unit: "", reason: "not in gray" };
  return factor > 0 ? { factor, unit: "Gy", reason: "" } : { factor: 1, unit: "", reason: "no scaling" };
}

/** Return the facts of a frame, 1 first. */
export function frameOf(instance: Dataset, frame: number, scale?: Scale): Frame {
  const sets = levels(instance, frame);
  const holder = (tag: string): Dataset => sets.find((set) => set[tag]?.Value?.length) ?? instance;
  const modality = text(instance, "00080060");
  const [center, width] = [numbers(holder("00281050"), "00281050")[0], numbers(holder("00281051"), "00281051")[0]];
  const voiFunction = text(holder("00281056"), "00281056") || "LINEAR";
  const orientation = (instance["00200020"]?.Value ?? []) as string[];
  const { factor = 1, unit = "" } = scale ?? (modality === "RTDOSE" ? doseScale(instance) : {});
  const isFine = factor !== 1 || Boolean(instance["7FE00008"] ?? instance["7FE00009"]);
  return {
    series: text(instance, "0020000E"),
    sop: text(instance, "00080018"),
    frame,
    rows: number(instance, "00280010", 0),
    columns: number(instance, "00280011", 0),
    modality,
    spacing: spacingOf(instance, numbers(holder("00280030"), "00280030")),
    plane: planeOf(numbers(holder("00200037"), "00200037"), numbers(holder("00200032"), "00200032")),
    patientOrientation: orientation[0] && orientation[1] ? [orientation[0], orientation[1]] : null,
    frameOfReference: text(instance, "00200052"),
    window: center !== undefined && width !== undefined && width > 0 ? scaled({ center, width }, factor, voiFunction) : null,
    // A width of 1 means nothing where values have fractions (PS3.3 C.11.2.1.2 and .3).
    voiFunction: isFine && voiFunction === "LINEAR" ? "LINEAR_EXACT" : voiFunction,
    isColour: number(instance, "00280002", 1) > 1 || text(instance, "00280004") === "PALETTE COLOR",
    unit: unit || unitOf(modality, text(holder("00281054"), "00281054")),
    factor,
    isFine,
  };
}

/** Return the unit that Rescale Type names; CT that names none is in Hounsfield units (PS3.3 C.11.1.1.2). */
function unitOf(modality: string, rescaled: string): string {
  if (modality === "CT" && !rescaled) return "HU";
  return rescaled === "US" || rescaled === "UNSPECIFIED" ? "" : (/^\{(SUV\w+).*\}/.exec(rescaled)?.[1] ?? rescaled);
}

function scaled({ center, width }: Window, factor: number, voiFunction: string): Window {
  if (factor === 1) return { center, width };
  // The ends of a linear window are not at half its width (PS3.3 C.11.2.1.2).
  return voiFunction === "LINEAR" ? { center: (center - 0.5) * factor, width: Math.max(width - 1, 1) * factor }
    : { center: center * factor, width: width * factor };
}

function spacingOf(instance: Dataset, inPatient: number[]): Spacing {
  const atDetector = numbers(instance, "00181164");
  const [row, column] = inPatient.length === 2 ? inPatient : atDetector;
  if (row && column && row > 0 && column > 0) {
    // A projection may carry both; where they are the same, nobody has corrected for the magnification
    // (PS3.3 10.7.1.3), unless it says so.
    const corrected = text(instance, "00280A02") !== "" || atDetector.length !== 2;
    const same = atDetector[0] === row && atDetector[1] === column;
    return { row, column, kind: inPatient.length === 2 && (corrected || !same) ? "patient" : "detector" };
  }
  const [vertical, horizontal] = numbers(instance, "00280034"); // Pixel Aspect Ratio
  return { row: vertical && horizontal ? vertical / horizontal : 1, column: 1, kind: "unknown" };
}

function planeOf(orientation: number[], position: number[]): Plane | null {
  if (orientation.length !== 6 || position.length !== 3) return null;
  return {
    across: orientation.slice(0, 3) as Vector,
    down: orientation.slice(3) as Vector,
    position: position as Vector,
  };
}
