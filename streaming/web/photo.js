// Makes any picture small enough to send: upright, sRGB, at most MAX px, JPEG.

const MAX = 2048; // px, longer side: more adds nothing to a 768 px face
const QUALITY = 0.92;
const LIMIT = 10 * 1024 * 1024; // bytes that the server takes of a picture this browser cannot open
const BACKDROP = "#b9bcbf"; // behind transparent pictures

// Returns {blob, filename, canvas}; canvas is null for a picture that this browser cannot open: the server says what it is.
export async function prepared(file) {
  const bitmap = await decoded(file);
  if (bitmap) return shrunk(bitmap);
  if (file.size > LIMIT) throw new Error(`This browser cannot open that picture, and it is too large to send as it is (${LIMIT >> 20} MB at most).`);
  if (file.size === 0) throw new Error("That file is empty.");
  return { blob: file, filename: file.name || "photo", canvas: null };
}

async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "default" });
  } catch {
    return null;
  }
}

async function shrunk(bitmap) {
  const scale = Math.min(1, MAX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d", { colorSpace: "srgb", alpha: false });
  context.fillStyle = BACKDROP;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return { blob, filename: "photo.jpg", canvas };
}

// A webcam picture as others see the person: not mirrored.
export async function snapped(video) {
  return shrunk(await createImageBitmap(video));
}
