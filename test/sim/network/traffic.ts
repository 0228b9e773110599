/** What goes over the network of a run, and how long messages take. */
import { isJsonObject, type JsonObject, type ServerName } from '@plexus/core'
import type { LoggedRequest } from '../../kit/loopback.ts'

/** Bytes that one node sent and got: JSON text, in UTF-16 code units, and sealed mail. */
export type Bytes = { up: number; down: number }

/** How often an event went from one server to another. */
export type Uploads = { bySender: number; all: number }

export interface Traffic {
  readonly finished: (entry: LoggedRequest) => void
  /** Mail that a node left at a relay (up) or fetched there. */
  mail(name: ServerName, way: keyof Bytes, length: number): void
  bytes(name: ServerName): Bytes
  readonly requests: number
  readonly lost: number
  /** Of the message with this number, whose event is `sender`'s. */
  uploads(number: number): Uploads
  /** To-device messages in transactions, since the last call. */
  takeToDevice(): { readonly transactions: number; readonly length: number }
}

export function createTraffic(senderOf: (number: number) => ServerName | undefined): Traffic {
  const bytes = new Map<ServerName, Bytes>()
  const uploads = new Map<number, Uploads>()
  let toDevice = { transactions: 0, length: 0 }
  let requests = 0
  let lost = 0

  const bytesOf = (name: ServerName): Bytes => {
    const found = bytes.get(name) ?? { up: 0, down: 0 }
    bytes.set(name, found)
    return found
  }
  const uploadsOf = (number: number): Uploads => {
    const found = uploads.get(number) ?? { bySender: 0, all: 0 }
    uploads.set(number, found)
    return found
  }

  const countEvents = (from: ServerName, content: JsonObject): void => {
    for (const pdu of listOf(content, 'pdus')) {
      const number = numberOf(pdu)
      if (number === undefined) continue
      const counted = uploadsOf(number)
      counted.all += 1
      if (senderOf(number) === from) counted.bySender += 1
    }
    const direct = listOf(content, 'edus').filter(({ edu_type: type }) => type === 'm.direct_to_device')
    if (direct.length === 0) return
    toDevice.transactions += 1
    toDevice.length += JSON.stringify(direct).length
  }

  return {
    finished({ from, to, enveloped, outcome, length, response }) {
      if (length === 0) return
      requests += 1
      if (typeof outcome !== 'number') lost += 1
      const answer = response?.body.length ?? 0
      const [own, other] = [bytesOf(from), bytesOf(to)]
      own.up += length
      own.down += answer
      other.up += answer
      other.down += length
      const { method, uri, content } = enveloped.request
      const isTransaction = method === 'PUT' && uri.startsWith('/_matrix/federation/v1/send/')
      if (isTransaction && isJsonObject(content)) countEvents(from, content)
    },
    mail(name, way, length) {
      bytesOf(name)[way] += length
    },
    bytes: bytesOf,
    get requests() {
      return requests
    },
    get lost() {
      return lost
    },
    uploads: uploadsOf,
    takeToDevice() {
      const taken = toDevice
      toDevice = { transactions: 0, length: 0 }
      return taken
    },
  }
}

/** The number that a message of the simulation has in its content. */
export function numberOf(pdu: JsonObject): number | undefined {
  const { content } = pdu
  const number = isJsonObject(content) ? content['number'] : undefined
  return typeof number === 'number' ? number : undefined
}

function listOf(object: JsonObject, key: string): readonly JsonObject[] {
  const list = object[key]
  return Array.isArray(list) ? list.filter(isJsonObject) : []
}

/** The value that this part of all are not above; 0 of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1)
