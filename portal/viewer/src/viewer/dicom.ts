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

/** Return the facts of a frame, 1 first. */
export function frameOf(instance: Dataset, frame: number): Frame {
  const sets = levels(instance, frame);
  const holder = (tag: string): Dataset => sets.find((set) => set[tag]?.Value?.length) ?? instance;
  const modality = text(instance, "00080060");
  const [center, width] = [numbers(holder("00281050"), "00281050")[0], numbers(holder("00281051"), "00281051")[0]];
  const orientation = (instance["00200020"]?.Value ?? []) as string[];
  const rescaled = text(holder("00281054"), "00281054");
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
    window: center !== undefined && width !== undefined && width > 0 ? { center, width } : null,
    voiFunction: text(holder("00281056"), "00281056") || "LINEAR",
    isColour: number(instance, "00280002", 1) > 1 || text(instance, "00280004") === "PALETTE COLOR",
    unit: modality === "CT" ? "HU" : rescaled === "US" || rescaled === "UNSPECIFIED" ? "" : rescaled,
  };
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
