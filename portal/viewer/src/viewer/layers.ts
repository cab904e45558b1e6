// What models have drawn: outlines of segments, heat maps, boxes. Off until the reader asks.

import type { Dataset, Frame } from "./dicom.ts";
import { items, number, text } from "./dicom.ts";
import { outlinesOf, pathOf } from "./outlines.ts";
import { type Finding, frameUrl, readFrame, readPicture, readSegmentations } from "./source.ts";
import { svg } from "./svg.ts";

const COLOURS = ["#ffc400", "#5fd0ff", "#ff8fd0", "#9be564", "#ff9d5c", "#c9a7ff"];

/** One frame of a segmentation that lies on one frame of an image. */
interface SegmentFrame {
  instance: Dataset;
  index: number;
  number: number;
  label: string;
}

const keyOf = (sop: string, frame: number): string => `${sop}#${frame}`;

export class Layers {
  isShown = false;
  opacity = 0.8;
  /** The one finding that is shown, or null for all. */
  only: Finding | null = null;
  readonly findings: Finding[];
  #study: string;
  #segments: Promise<Map<string, SegmentFrame[]>> | null = null;
  #made = new Map<string, Promise<SVGElement[]>>();

  constructor(study: string, findings: Finding[]) {
    this.#study = study;
    this.findings = findings.filter((each) => each.overlay_url || each.region || each.segment_number);
  }

  /** Return the marks of a frame; empty where there are none, or where they are hidden. */
  async of(frame: Frame): Promise<SVGElement[]> {
    if (!this.isShown) return [];
    const key = `${keyOf(frame.sop, frame.frame)}#${this.only ? this.findings.indexOf(this.only) : "all"}`;
    let made = this.#made.get(key);
    if (!made) {
      made = this.#make(frame);
      made.catch(() => this.#made.delete(key));
      this.#made.set(key, made);
    }
    return (await made).map((each) => each.cloneNode(true) as SVGElement);
  }

  /** Return whether something can be shown on some frame. */
  async exist(): Promise<boolean> {
    return this.findings.length > 0 || (await this.#segmentFrames()).size > 0;
  }

  /** Return the image that shows most of all findings, to begin with. */
  async first(): Promise<{ sop: string; frame: number } | null> {
    const finding = this.findings[0];
    if (finding) return { sop: finding.sop_uid, frame: finding.frame };
    const [key] = [...(await this.#segmentFrames()).keys()];
    const [sop, frame] = key?.split("#") ?? [];
    return sop ? { sop, frame: Number(frame) } : null;
  }

  async has(frame: Frame): Promise<boolean> {
    const own = this.findings.some((each) => each.sop_uid === frame.sop && each.frame === frame.frame);
    return own || (await this.#segmentFrames()).has(keyOf(frame.sop, frame.frame));
  }

  async #make(frame: Frame): Promise<SVGElement[]> {
    const segments = ((await this.#segmentFrames()).get(keyOf(frame.sop, frame.frame)) ?? [])
      .filter((each) => !this.only || this.only.segment_number === each.number);
    const drawn = new Set(segments.map((each) => each.number));
    const findings = this.findings.filter((each) =>
      each.sop_uid === frame.sop && each.frame === frame.frame && (!this.only || each === this.only));
    const pictures = findings
      .filter((each) => each.overlay_url && !(each.segment_number && drawn.has(each.segment_number)) && !each.region)
      .map(async (each) => svg("image", {
        href: await readPicture(each.overlay_url), class: "layer-map", x: 0, y: 0, width: frame.columns, height: frame.rows,
        preserveAspectRatio: "none", "data-label": each.label,
      }));
    const boxes = findings.filter((each) => each.region).map((each) => {
      const { left, top, right, bottom } = each.region!;
      return svg("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "layer-line", stroke: COLOURS[0]!, "data-label": each.label });
    });
    const outlines = segments.map(async (each) => svg("path", {
      d: await outlineOf(this.#study, each), class: "layer-line", stroke: COLOURS[(each.number - 1) % COLOURS.length]!, "data-label": each.label,
    }));
    return [...(await Promise.all(pictures)), ...boxes, ...(await Promise.all(outlines))];
  }

  #segmentFrames(): Promise<Map<string, SegmentFrame[]>> {
    return (this.#segments ??= readSegmentations(this.#study).then(placed).catch(() => {
      this.#segments = null;
      throw new Error("The segmentations cannot be loaded");
    }));
  }
}

/** Return the frames of segmentations by the frame of the image that they lie on (PS3.3 A.51, C.8.20). */
export function placed(instances: Dataset[]): Map<string, SegmentFrame[]> {
  const found = new Map<string, SegmentFrame[]>();
  for (const instance of instances) {
    const labels = new Map(items(instance, "00620002").map((each) => [number(each, "00620004", 0), text(each, "00620005")]));
    items(instance, "52009230").forEach((group, index) => {
      const shared = items(instance, "52009229")[0];
      const segment = number((items(group, "0062000A")[0] ?? items(shared, "0062000A")[0]) ?? {}, "0062000B", 0);
      for (const derivation of items(group, "00089124")) {
        for (const source of items(derivation, "00082112")) {
          const key = keyOf(text(source, "00081155"), number(source, "00081160", 1));
          const entry = { instance, index, number: segment, label: labels.get(segment) ?? "" };
          found.set(key, [...(found.get(key) ?? []), entry]);
        }
      }
    });
  }
  return found;
}

async function outlineOf(study: string, { instance, index, number: segment }: SegmentFrame): Promise<string> {
  const url = frameUrl(study, text(instance, "0020000E"), text(instance, "00080018"), index + 1);
  const bytes = await readFrame(url, new AbortController().signal);
  const [rows, columns] = [number(instance, "00280010", 0), number(instance, "00280011", 0)];
  const isPacked = number(instance, "00280100", 8) === 1;
  const isLabelmap = text(instance, "00620001") === "LABELMAP";
  const data = isPacked ? unpack(bytes, rows * columns) : bytes.map((each) => Number(isLabelmap ? each === segment : each > 0));
  return outlinesOf({ rows, columns, data }).map(pathOf).join("");
}

/** Return single bits as bytes, the lowest bit first (PS3.5 8.1.1). */
export function unpack(bytes: Uint8Array, count: number): Uint8Array {
  const data = new Uint8Array(count);
  for (let index = 0; index < count; index++) data[index] = ((bytes[index >> 3] ?? 0) >> (index & 7)) & 1;
  return data;
}
