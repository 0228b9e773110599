/** Width and height of an image whose sender did not say. */
const UNKNOWN_SHAPE = { width: 320, height: 200 }
const MAX_SHOWN = { width: 360, height: 340 }

/** Room kept for an image before it is there, in its own proportions. */
export function shownSize(
  width: number | undefined,
  height: number | undefined,
): { width: number; height: number } {
  const known = width !== undefined && height !== undefined && width > 0 && height > 0
  const shape = known ? { width, height } : UNKNOWN_SHAPE
  const scale = Math.min(1, MAX_SHOWN.width / shape.width, MAX_SHOWN.height / shape.height)
  return {
    width: Math.max(48, Math.round(shape.width * scale)),
    height: Math.max(32, Math.round(shape.height * scale)),
  }
}
