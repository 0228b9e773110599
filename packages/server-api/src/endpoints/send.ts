/** PUT /_matrix/federation/v1/send/{txnId}. spec: v1.19 server-server-api.md#put_matrixfederationv1sendtxnid */
import type { JsonObject, ServerName } from '@plexus/core'
import { checkCanonical } from '@plexus/core'
import * as v from 'valibot'
import type { Heads } from '@plexus/engine/ports'
import {
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

const txnId: Schema<string> = v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_TRANSACTION_ID_LENGTH))

const heads: Schema<Heads> = mapOf(roomId, listOf(eventId, MAX_TOLD_HEADS), MAX_TOLD_ROOMS)

const body = v.object({
  origin: v.optional(v.string()),
  pdus: listOf(jsonObject, MAX_TRANSACTION_PDUS),
  edus: v.optional(listOf(jsonObject, MAX_TRANSACTION_EDUS), []),
  // What the sender has seen acknowledged of its sequence, between Plexus nodes.
  [ACKNOWLEDGED]: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0),
  // The sender's forward extremities, between Plexus nodes.
  [HEADS]: v.exactOptional(heads),
})

/** The same transaction may come again: events are known by their ids and durable EDUs by their sequence. */
export const send: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  repeatable: true,
  isTransaction: true,
  async handle(services, request) {
    pathOf(request, 'txnId', txnId)
    const { pdus, edus, [ACKNOWLEDGED]: acknowledged, [HEADS]: told } = bodyOf(request, body)
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

export type Transaction = {
  readonly txnId: string
  readonly pdus: readonly JsonObject[]
  readonly edus: readonly JsonObject[]
  readonly sequence?: number
  readonly acknowledged?: number
  readonly heads?: Heads
}

export function sendCall(
  origin: ServerName,
  now: number,
  transaction: Transaction,
): Call<{ pdus: Readonly<Record<string, { error?: string }>>; [HEADS]?: Heads }> {
  const { txnId, pdus, edus, sequence, acknowledged, heads: told } = transaction
  const call = {
    method: 'PUT' as const,
    uri: uriOf(PATH, { txnId }),
    content: { origin, origin_server_ts: now, pdus, edus, [ACKNOWLEDGED]: acknowledged, [HEADS]: told },
    answer,
  }
  return sequence === undefined ? call : { ...call, sequence }
}
