// Multipart answers (PS3.18 8.6.1.2) of one part.

/** Return the one part of a multipart answer. */
export function onlyPart(body: Uint8Array<ArrayBuffer>, contentType: string): Uint8Array<ArrayBuffer> {
  const boundary = /boundary="?([^";]+)/i.exec(contentType)?.[1];
  if (!boundary) return body;
  const begin = find(body, "\r\n\r\n", 0);
  // From the end: the bytes of an image may hold anything, a delimiter too.
  const end = findLast(body, `\r\n--${boundary}`);
  if (begin < 0 || end < begin + 4) throw new Error("The image came incomplete");
  return body.slice(begin + 4, end);
}

const matches = (body: Uint8Array, wanted: string, at: number): boolean => {
  for (let index = 0; index < wanted.length; index++) if (body[at + index] !== wanted.charCodeAt(index)) return false;
  return true;
};

function find(body: Uint8Array, wanted: string, from: number): number {
  for (let at = from; at <= body.length - wanted.length; at++) if (matches(body, wanted, at)) return at;
  return -1;
}

function findLast(body: Uint8Array, wanted: string): number {
  for (let at = body.length - wanted.length; at >= 0; at--) if (matches(body, wanted, at)) return at;
  return -1;
}
