// Which frames of a segmentation lie on which frames of an image.

import type { Dataset } from "./dicom.ts";
import { items, number, text } from "./dicom.ts";

/** One frame of a segmentation that lies on one frame of an image. */
export interface SegmentFrame {
  instance: Dataset;
  index: number;
  number: number;
  label: string;
}

/** Names a frame, 1 first, of an image. */
export const keyOf = (sop: string, frame: number): string => `${sop}#${frame}`;

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

/** Return single bits as bytes, the lowest bit first (PS3.5 8.1.1). */
export function unpack(bytes: Uint8Array, count: number): Uint8Array {
  const data = new Uint8Array(count);
  for (let index = 0; index < count; index++) data[index] = ((bytes[index >> 3] ?? 0) >> (index & 7)) & 1;
  return data;
}
