/** PUT /_matrix/federation/v1/send/{txnId}. spec: v1.19 server-server-api.md#put_matrixfederationv1sendtxnid */
import type { JsonObject, ServerName } from '@plexus/core'
import { checkCanonical } from '@plexus/core'
import * as v from 'valibot'
import type { Heads, OutgoingTransaction, Received, Taken } from '@plexus/engine/ports'
import {
  MAX_INCARNATION_LENGTH,
  MAX_PEER_ID_LENGTH,
  MAX_RECEIVED_RELAYS,
  MAX_RECEIVED_TRANSACTIONS,
  MAX_TAKEN,
  MAX_TOLD_HEADS,
  MAX_TOLD_ROOMS,
  MAX_TRANSACTION_EDUS,
  MAX_TRANSACTION_ID_LENGTH,
  MAX_TRANSACTION_PDUS,
} from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { permittedEdus } from '../edu-acl.ts'
import { bodyOf, pathOf, type Endpoint } from '../request.ts'
import { eventId, jsonObject, listOf, mapOf, roomId, type Schema } from '../schema.ts'
import type { Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/send/{txnId}'
const ACKNOWLEDGED = 'plexus.acknowledged'
const HEADS = 'plexus.heads'
const TAKEN = 'plexus.taken_events'
const RECEIVED = 'plexus.received'

export const txnId: Schema<string> = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(MAX_TRANSACTION_ID_LENGTH),
)

const heads: Schema<Heads> = mapOf(roomId, listOf(eventId, MAX_TOLD_HEADS), MAX_TOLD_ROOMS)

const taken: Schema<Taken> = mapOf(roomId, listOf(eventId, MAX_TAKEN), MAX_TOLD_ROOMS)

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const received: Schema<Received> = v.object({
  incarnation: v.pipe(v.string(), v.maxLength(MAX_INCARNATION_LENGTH)),
  committed: count,
  transactions: mapOf(
    v.pipe(v.string(), v.maxLength(MAX_PEER_ID_LENGTH)),
    listOf(txnId, MAX_RECEIVED_TRANSACTIONS),
    MAX_RECEIVED_RELAYS,
  ),
})

export type TransactionBody = {
  readonly pdus: readonly JsonObject[]
  readonly edus: readonly JsonObject[]
  readonly [ACKNOWLEDGED]: number
  readonly [HEADS]?: Heads
  readonly [TAKEN]?: Taken
  readonly [RECEIVED]?: Received
}

export const transactionBody: Schema<TransactionBody> = v.object({
  origin: v.optional(v.string()),
  pdus: listOf(jsonObject, MAX_TRANSACTION_PDUS),
  edus: v.optional(listOf(jsonObject, MAX_TRANSACTION_EDUS), []),
  // What the sender has seen acknowledged of its sequence, between Plexus nodes.
  [ACKNOWLEDGED]: v.optional(count, 0),
  // The sender's forward extremities, between Plexus nodes.
  [HEADS]: v.exactOptional(heads),
  // Events of ours that the sender has, between Plexus nodes.
  [TAKEN]: v.exactOptional(taken),
  // What the sender has got of our mail, between Plexus nodes.
  [RECEIVED]: v.exactOptional(received),
})

/** The same transaction may come again: events are known by their ids and durable EDUs by their sequence. */
export const send: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  repeatable: true,
  isTransaction: true,
  async handle(services, request) {
    pathOf(request, 'txnId', txnId)
    const transaction = bodyOf(request, transactionBody)
    const { pdus, edus, [ACKNOWLEDGED]: acknowledged } = transaction
    const { [HEADS]: told, [TAKEN]: taken, [RECEIVED]: received } = transaction
    const { origin, incarnation, sequence } = request
    const ordered =
      sequence === undefined || incarnation === undefined
        ? {}
        : { ordered: { incarnation, sequence, acknowledged } }
    const permitted = await permittedEdus(services, origin, edus.map(wholeEdu))
    const result = await services.inbound.transaction({
      origin,
      pdus,
      edus: permitted,
      ...ordered,
      ...(told === undefined ? {} : { heads: told }),
      ...(taken === undefined ? {} : { taken }),
      ...(received === undefined ? {} : { received }),
    })
    const json = { pdus: result.pdus, ...(result.heads === undefined ? {} : { [HEADS]: result.heads }) }
    return result.committed === undefined || incarnation === undefined
      ? { json }
      : { json, acknowledgement: { incarnation, committed: result.committed } }
  },
}

/** What could not be written down has no content; it stays in its place, for durable EDUs are counted. */
function wholeEdu(edu: JsonObject): JsonObject {
  const isWhole = checkCanonical(edu, { anyNumber: true }) === undefined
  return isWhole ? edu : { edu_type: edu['edu_type'] }
}

const answer = v.object({
  pdus: mapOf(v.string(), v.object({ error: v.exactOptional(v.string()) }), MAX_TRANSACTION_PDUS),
  [HEADS]: v.exactOptional(heads),
})

export function sendCall(
  origin: ServerName,
  now: number,
  transaction: OutgoingTransaction,
): Call<{ pdus: Readonly<Record<string, { error?: string }>>; [HEADS]?: Heads }> {
  const { txnId, pdus, edus, sequence, acknowledged, heads, taken, received } = transaction
  const call = {
    method: 'PUT' as const,
    uri: uriOf(PATH, { txnId }),
    content: {
      origin,
      origin_server_ts: now,
      pdus,
      edus,
      [ACKNOWLEDGED]: acknowledged,
      [HEADS]: heads,
      [TAKEN]: taken,
      [RECEIVED]: received,
    },
    answer,
  }
  return sequence === undefined ? call : { ...call, sequence }
}
