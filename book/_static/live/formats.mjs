/* Which picture a file holds and how large it is, from its first bytes: nothing is decoded. */

const TEXT = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

/* {kind, width, height} of a PNG, JPEG, WebP, BMP or GIF file; null for anything else. */
export function measure(bytes) {
  if (bytes.length < 30) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (TEXT(bytes, 1, 4) === "PNG") return { kind: "PNG", width: view.getUint32(16), height: view.getUint32(20) };
  if (TEXT(bytes, 0, 4) === "GIF8") return { kind: "GIF", width: view.getUint16(6, true), height: view.getUint16(8, true) };
  if (TEXT(bytes, 0, 2) === "BM") {
    return { kind: "BMP", width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
  }
  if (TEXT(bytes, 0, 4) === "RIFF" && TEXT(bytes, 8, 12) === "WEBP") return webp(bytes, view);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpeg(view);
  return null;
}

function webp(bytes, view) {
  const kind = "WebP";
  const chunk = TEXT(bytes, 12, 16);
  if (chunk === "VP8X") {
    const three = (at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1;
    return { kind, width: three(24), height: three(27) };
  }
  if (chunk === "VP8L") {
    const bits = view.getUint32(21, true);
    return { kind, width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  return { kind, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}

/* The first frame header (SOF) of a JPEG file; null where there is none. */
function jpeg(view) {
  let at = 2;
  while (at + 9 < view.byteLength) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return { kind: "JPEG", width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return null;
}
