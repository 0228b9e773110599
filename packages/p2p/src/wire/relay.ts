import { kindOfKey, MAX_RECORD_KEY_CHARS, readPublished } from '@plexus/core/names'
import { isJsonObject, parseServerName, type JsonValue, type ServerName } from '@plexus/core'
import { decodeSignedCertificate, type SignedCertificate } from './hello.ts'
import { MAX_DEVICES_PER_NAME, MAX_KEYS_PER_FRAME, MAX_NAME_LENGTH, MAX_NAMES_PER_FRAME } from './limits.ts'
import { decodeJson, encodeJson } from './message.ts'
import type { Published } from './published.ts'

/** libp2p protocol id of the one long-lived stream between a node and a relay: who is here. */
export const RELAY_PROTOCOL = '/plexus/relay/1.0.0'

/** Kinds of frames on a relay stream. Answers carry the id of the question. */
export const RelayFrame = {
  /** Node: its certificate. Answered with `done` or `refuse`; first, and again when the certificate was renewed. */
  register: 1,
  /** Node: names. Answered with one `entry` for each that is here, then `done`. */
  lookup: 2,
  /** Node: names to tell of from here on, in addition to those watched. Answered like `lookup`. */
  watch: 3,
  /** Node: names to tell of no more. Not answered. */
  unwatch: 4,
  /** Relay: one name and its devices that are connected. With id 0: a watched name appeared. */
  entry: 5,
  done: 6,
  /** Relay: body is one byte, `RelayRefusal`. With id 0 it ends the stream. */
  refuse: 7,
  ping: 8,
  pong: 9,
  /** Node: a record of its own, which the relay keeps, serves and puts into the DHT. Answered with `done` or `refuse`. */
  publish: 10,
  /** Node: keys of records. Answered with one `record` for each that the relay has, then `done`. */
  find: 11,
  /** Relay: a record. */
  record: 12,
} as const

export const RelayRefusal = {
  notRegistered: 1,
  badCertificate: 2,
  tooMany: 3,
  tooFast: 4,
  nonsense: 5,
  /** The same node came by another stream: it was started twice. */
  replaced: 6,
  /** The relay has a newer record of the same key. */
  older: 7,
} as const
export type RelayRefusalCode = (typeof RelayRefusal)[keyof typeof RelayRefusal]

/** A name that is connected to the relay: the certificates of its devices. They are claims until checked. */
export type RelayEntry = { readonly name: ServerName; readonly devices: readonly SignedCertificate[] }

export function encodeRegister({ certificate, signature }: SignedCertificate): Uint8Array {
  return encodeJson({ certificate, signature })
}

export function decodeRegister(body: Uint8Array): SignedCertificate | undefined {
  return decodeSignedCertificate(decodeJson(body) ?? null)
}

/** @throws RangeError for more names than fit into one frame. */
export function encodeNames(names: readonly ServerName[]): Uint8Array {
  if (names.length > MAX_NAMES_PER_FRAME) throw new RangeError('too many names for one frame')
  return encodeJson(names)
}

export function decodeNames(body: Uint8Array): readonly ServerName[] | undefined {
  const value = decodeJson(body)
  if (!Array.isArray(value) || value.length > MAX_NAMES_PER_FRAME) return undefined
  const names: ServerName[] = []
  for (const item of value as readonly JsonValue[]) {
    if (typeof item !== 'string' || item.length > MAX_NAME_LENGTH) return undefined
    const name = parseServerName(item)
    if (name === undefined) return undefined
    names.push(name)
  }
  return names
}

export function encodeEntry({ name, devices }: RelayEntry): Uint8Array {
  return encodeJson({
    name,
    devices: devices.map(({ certificate, signature }) => ({ certificate, signature })),
  })
}

/** Shape only, and that every certificate is for the entry's name. */
export function decodeEntry(body: Uint8Array): RelayEntry | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value) || typeof value['name'] !== 'string') return undefined
  const name = parseServerName(value['name'])
  const list = value['devices']
  if (name === undefined || !Array.isArray(list) || list.length > MAX_DEVICES_PER_NAME) return undefined
  const devices: SignedCertificate[] = []
  for (const item of list as readonly JsonValue[]) {
    const signed = decodeSignedCertificate(item)
    if (signed === undefined || signed.certificate.name !== name) return undefined
    devices.push(signed)
  }
  return { name, devices }
}

/** The body of `publish` and `record`. */
export function encodeKeyedRecord({ key, signed }: Published): Uint8Array {
  const kind = kindOfKey(key)
  if (kind === undefined) throw new TypeError('not the key of a record')
  return encodeJson({ key, ...kind.json(signed) })
}

/** `undefined` for anything but a record that stands under the key given with it and counts at `now`. */
export function decodeKeyedRecord(body: Uint8Array, now: number): Published | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value) || typeof value['key'] !== 'string') return undefined
  const signed = readPublished(value['key'], value, now)
  return signed === undefined ? undefined : { key: value['key'], signed }
}

export function encodeKeys(keys: readonly string[]): Uint8Array {
  if (keys.length > MAX_KEYS_PER_FRAME) throw new RangeError('too many keys for one frame')
  return encodeJson(keys)
}

export function decodeKeys(body: Uint8Array): readonly string[] | undefined {
  const value = decodeJson(body)
  if (!Array.isArray(value) || value.length > MAX_KEYS_PER_FRAME) return undefined
  const keys = (value as readonly JsonValue[]).filter((item) => typeof item === 'string')
  return keys.length === value.length && keys.every((key) => key.length <= MAX_RECORD_KEY_CHARS)
    ? keys
    : undefined
}
