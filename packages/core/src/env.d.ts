/** The one global of the platform that core uses; part of the WHATWG Encoding Standard, in every browser and in Node.js. */
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(input?: Uint8Array): string
}
