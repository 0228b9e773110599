import { utf8ToBytes } from '@noble/hashes/utils.js'
import { utf8Length } from './ids.ts'
import { isJsonObject, without, type JsonObject, type JsonValue } from './json.ts'

/** Deepest nesting of arrays and objects that is accepted in one JSON value from outside. */
export const MAX_JSON_DEPTH = 128

/**
 * Deepest nesting of a document that carries what many made, such as a transaction or the answer to `/backfill`. It is
 * far above MAX_JSON_DEPTH, and above what other servers let in, so that one event nested too deep is dropped by
 * itself and does not spoil the rest. Such a document must not be walked recursively before its parts are checked.
 */
export const MAX_DOCUMENT_DEPTH = 10_000

/** Why a value has no canonical form. spec: appendices.md "Canonical JSON" */
export type CanonicalFailure =
  | 'float'
  | 'negative zero'
  | 'integer out of range'
  | 'lone surrogate'
  | 'too deep'
  | 'not JSON'

export type ParseFailure = {
  readonly kind: 'failure'
  readonly why: 'too large' | 'not UTF-8' | 'not JSON' | 'too deep'
}
export type Parsed = { readonly kind: 'ok'; readonly value: JsonValue } | ParseFailure

export type ParseLimits = {
  /** Largest text in bytes of UTF-8. */
  readonly maxBytes: number
  /** Deepest nesting; MAX_JSON_DEPTH if absent. */
  readonly maxDepth?: number
}

const HAS_SURROGATE = /[\uD800-\uDFFF]/

/**
 * The canonical form of a value that `checkCanonical` passed. The bytes that are hashed or signed are its UTF-8.
 * Throws a TypeError for a number that has none: calling it unchecked is a fault. (-0 is written 0, as in the
 * specification's own example. Numbers that are no integers, which only old room versions let in, are written as
 * JavaScript does, so that of what other servers write another way the hash does not match.)
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`no canonical form of ${String(value)}`)
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (isJsonObject(value)) return canonicalObject(value)
  return `[${value.map(canonicalJson).join(',')}]`
}

function canonicalObject(value: JsonObject): string {
  const members: string[] = []
  for (const key of sortKeys(Object.keys(value))) {
    const member = value[key]
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`)
  }
  return `{${members.join(',')}}`
}

/** Sorts by code point. UTF-16 order, which `sort` uses, differs from it only where surrogates meet U+E000 and above. */
function sortKeys(keys: string[]): string[] {
  return keys.some((key) => HAS_SURROGATE.test(key)) ? keys.sort(compareCodePoints) : keys.sort()
}

/** Order of two strings by Unicode code point: negative, 0 or positive. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return codePointRank(left) - codePointRank(right)
  }
  return a.length - b.length
}

/** Surrogates (code points from U+10000) rank above the rest of the basic plane. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

export type CanonicalLimits = {
  /** Deepest nesting; MAX_JSON_DEPTH if absent. */
  readonly maxDepth?: number
  /** Numbers need not be integers. spec: rooms/v1.md "Canonical JSON" */
  readonly anyNumber?: boolean
}

/** The first reason why a value is not canonical JSON, or `undefined`. Total on anything a parser can give. */
export function checkCanonical(
  value: JsonValue,
  { maxDepth = MAX_JSON_DEPTH, anyNumber = false }: CanonicalLimits = {},
): CanonicalFailure | undefined {
  switch (typeof value) {
    case 'boolean':
      return undefined
    case 'number':
      return anyNumber && Number.isFinite(value) ? undefined : checkNumber(value)
    case 'string':
      return value.isWellFormed() ? undefined : 'lone surrogate'
    case 'object':
      return value === null ? undefined : checkMembers(value, maxDepth, anyNumber)
    default:
      return 'not JSON'
  }
}

function checkNumber(value: number): CanonicalFailure | undefined {
  if (!Number.isInteger(value)) return 'float'
  if (!Number.isSafeInteger(value)) return 'integer out of range'
  return Object.is(value, -0) ? 'negative zero' : undefined
}

function checkMembers(
  value: JsonObject | readonly JsonValue[],
  maxDepth: number,
  anyNumber: boolean,
): CanonicalFailure | undefined {
  if (maxDepth <= 0) return 'too deep'
  const limits = { maxDepth: maxDepth - 1, anyNumber }
  if (Array.isArray(value)) {
    for (const member of value as readonly JsonValue[]) {
      const failure = checkCanonical(member, limits)
      if (failure !== undefined) return failure
    }
    return undefined
  }
  for (const [key, member] of Object.entries(value)) {
    if (!key.isWellFormed()) return 'lone surrogate'
    if (member === undefined) continue
    const failure = checkCanonical(member, limits)
    if (failure !== undefined) return failure
  }
  return undefined
}

/**
 * Parses JSON from outside: bounded in bytes and nesting, strict UTF-8, never throws. Of a duplicate key the last
 * value stands, as in JSON.parse. The value need not be canonical: what is signed passes `checkCanonical` too.
 */
export function parseJson(input: Uint8Array | string, limits: ParseLimits): Parsed {
  // A UTF-16 code unit is at least one byte of UTF-8, so this bounds the work before anything is decoded.
  if (input.length > limits.maxBytes) return { kind: 'failure', why: 'too large' }
  const text = typeof input === 'string' ? input : decodeUtf8(input)
  if (text === undefined) return { kind: 'failure', why: 'not UTF-8' }
  if (typeof input === 'string' && utf8Length(input) > limits.maxBytes)
    return { kind: 'failure', why: 'too large' }
  const maxDepth = limits.maxDepth ?? MAX_JSON_DEPTH
  if (textDepthExceeds(text, maxDepth)) return { kind: 'failure', why: 'too deep' }
  try {
    return { kind: 'ok', value: JSON.parse(text) as JsonValue }
  } catch {
    return { kind: 'failure', why: 'not JSON' }
  }
}

/** Counts open brackets outside strings, so that a parser never sees text that is nested too deep. */
function textDepthExceeds(text: string, maxDepth: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (inString) {
      if (unit === 0x5c) i += 1
      else if (unit === 0x22) inString = false
    } else if (unit === 0x22) inString = true
    else if (unit === 0x5b || unit === 0x7b) {
      depth += 1
      if (depth > maxDepth) return true
    } else if (unit === 0x5d || unit === 0x7d) depth -= 1
  }
  return false
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The bytes that a signature of a JSON object covers. spec: appendices.md "Signing Details" */
export function signableBytes(object: JsonObject): Uint8Array {
  return utf8ToBytes(canonicalJson(without(object, 'signatures', 'unsigned')))
}
