/**
 * Send-to-device messages. spec: client-server-api/modules/send_to_device.md
 *
 * Invariants:
 * 1. A message is in an inbox, or in the queue for another server, once for each transaction id of its sender, and
 *    once for each message id of the server it came from.
 * 2. It leaves the inbox when the client has said that it has it, or with its device.
 */
import { checkCanonical, encodeBase64Url, isJsonObject, parseUserId, serverOf } from '@plexus/core'
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Edu, EduEffect } from '../outbox-types.ts'
import type { Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import { isDeviceId } from './key-format.ts'
import { jsonSize, objectAt, objectEntries, stringAt } from './read.ts'
import type { RecentIds } from './recent-ids.ts'
import { sharingServers } from './sharing.ts'
import { devices, inboxes } from './tables.ts'
import { UserError } from './types.ts'
import type { Caller, ToDevice, ToDeviceEvent } from './types.ts'

/** Messages that wait for one device. */
const MAX_INBOX = 10_000
/** JSON text of all that waits for one device, in UTF-16 code units. */
const MAX_INBOX_LENGTH: number = 32 * 1024 * 1024
/** An inbox that is fuller than by this part takes nothing of servers that share no room with its user. */
const STRANGERS_SHARE = 0.1
/** Inboxes whose fill is known without a look into the store. */
const MAX_INBOXES_IN_MEMORY = 10_000
/** JSON text of one message's content, in UTF-16 code units. */
const MAX_TO_DEVICE_LENGTH = 65_536
/** Devices in one request or EDU. */
const MAX_TO_DEVICE_TARGETS = 5_000
/** JSON text of the messages in one EDU to another server, in UTF-16 code units. */
const MAX_EDU_LENGTH = 60_000
const MAX_TYPE_LENGTH = 255
const MAX_TRANSACTION_ID_LENGTH = 255
/** spec: m.direct_to_device `message_id`, "maximum length 32 codepoints" */
const MAX_MESSAGE_ID_LENGTH = 64
const MESSAGE_ID_BYTES = 18

export interface ToDeviceStore extends ToDevice {
  directToDevice(origin: ServerName, content: JsonObject): Promise<EduEffect>
  /** The device was deleted. */
  forget(device: Caller): void
}

type Fill = { count: number; length: number }

/** `share`: the part of the inbox that the sender can fill. */
function hasRoom({ count, length }: Fill, more: number, share: number): boolean {
  return count < MAX_INBOX * share && length + more <= MAX_INBOX_LENGTH * share
}

function total(events: readonly JsonObject[]): number {
  return events.reduce((sum, event) => sum + jsonSize(objectAt(event, 'content') ?? {}), 0)
}

type Message = { readonly userId: UserId; readonly deviceId: string; readonly content: JsonObject }

export function createToDevice(
  context: UsersContext,
  ids: { readonly transactions: RecentIds<1>; readonly messages: RecentIds<1> },
): ToDeviceStore {
  const { store, committer, mutex, random, signer, outbox, log } = context
  // Numbers messages within a position; a position belongs to one process.
  let arrivals = 0
  // No message stands above this position.
  let newest = committer.committed
  const fills = createLru<string, Fill>(MAX_INBOXES_IN_MEMORY)
  committer.onFailure(() => {
    fills.clear()
  })

  const fillOf = async ({ userId, deviceId }: Caller): Promise<Fill> => {
    const key = JSON.stringify([userId, deviceId])
    const held = fills.get(key)
    if (held !== undefined) return held
    const rows = await inboxes.list(store, [userId, deviceId], { limit: MAX_INBOX })
    const meanwhile = fills.get(key)
    if (meanwhile !== undefined) return meanwhile
    const fill = { count: rows.length, length: total(rows.map(([, event]) => event)) }
    fills.set(key, fill)
    return fill
  }

  /** The devices that messages of local users go to: all for `*`, none for a device that is not there. */
  const resolve = async (messages: readonly Message[]): Promise<readonly Message[]> => {
    const resolved = await Promise.all(
      messages.map(async (message) => {
        const { userId, deviceId } = message
        if (deviceId !== '*') {
          return (await devices.get(store, [userId, deviceId])) === undefined ? [] : [message]
        }
        const rows = await devices.list(store, [userId])
        return rows.map(([[, deviceId]]) => ({ ...message, deviceId }))
      }),
    )
    return resolved.flat()
  }

  /** Anybody can write to anybody: a stranger must not fill the inbox that room keys come to. */
  const shareOf = async (sender: UserId, userId: UserId): Promise<number> => {
    const server = serverOf(sender)
    if (server === signer.name) return 1
    return (await sharingServers(context.rooms(), userId)).includes(server) ? 1 : STRANGERS_SHARE
  }

  /** A message for a full inbox is dropped: its device has not been here for a long time, or is being flooded. */
  const deliveries = async (
    sender: UserId,
    type: string,
    messages: readonly Message[],
  ): Promise<(position: number) => readonly Write[]> => {
    const shares = new Map<UserId, Promise<number>>()
    const targets = await Promise.all(
      (await resolve(messages)).map(async (message) => {
        const { userId } = message
        const share = shares.get(userId) ?? shareOf(sender, userId)
        shares.set(userId, share)
        return { message, held: await fillOf(message), share: await share }
      }),
    )
    return (position) =>
      targets.flatMap(({ message: { userId, deviceId, content }, held, share }) => {
        const length = jsonSize(content)
        if (!hasRoom(held, length, share)) {
          log.log('warn', 'a to-device message was dropped: the inbox is full', { userId, deviceId })
          return []
        }
        held.count += 1
        held.length += length
        arrivals += 1
        newest = Math.max(newest, position)
        return [inboxes.put([userId, deviceId, position, arrivals], { sender, type, content })]
      })
  }

  /** Else messages for the server are dropped as for a full inbox: it is gone for good, and all others are to get theirs. */
  const hasSpace = (server: ServerName): boolean => {
    if (!outbox.isFull(server)) return true
    log.log('warn', 'a to-device message was dropped: too much waits for its server', { server })
    return false
  }

  const edusFor = (sender: UserId, type: string, messages: readonly Message[]): readonly Edu[] =>
    inChunks(messages).map((chunk) => ({
      edu_type: 'm.direct_to_device',
      content: {
        sender,
        type,
        message_id: encodeBase64Url(random.bytes(MESSAGE_ID_BYTES)),
        messages: nest(chunk),
      },
    }))

  return {
    send: (caller, eventType, transactionId, messages) =>
      mutex.run(`to-device ${caller.userId} ${caller.deviceId}`, async () => {
        const parsed = parseMessages(messages)
        if (parsed === undefined)
          throw new UserError('M_BAD_JSON', 'messages: user id to device id to content')
        check(eventType, transactionId, parsed)
        const scope = JSON.stringify([caller.userId, caller.deviceId, eventType])
        if ((await ids.transactions.get(scope, transactionId)) !== undefined) return
        const local = parsed.filter(({ userId }) => serverOf(userId) === signer.name)
        const servers = [...new Set(parsed.map(({ userId }) => serverOf(userId)))]
          .filter((server) => server !== signer.name)
          .sort()
        if (servers.length > 0 && outbox.isFull())
          throw new UserError('M_LIMIT_EXCEEDED', 'too much waits for other servers')
        const deliver = await deliveries(caller.userId, eventType, local)
        const remote = servers.filter(hasSpace).map((server) => ({
          server,
          edus: edusFor(
            caller.userId,
            eventType,
            parsed.filter(({ userId }) => serverOf(userId) === server),
          ),
        }))
        await committer.submit({
          writes: (position) => [
            ...(ids.transactions.claim(scope, transactionId, 1) ?? []),
            ...deliver(position),
            ...remote.flatMap(({ server, edus }) => edus.flatMap((edu) => outbox.queueDurable(server, edu))),
          ],
        })
        if (servers.length > 0) outbox.kick(servers)
      }),

    forget: ({ userId, deviceId }) => fills.delete(JSON.stringify([userId, deviceId])),

    async inbox({ userId, deviceId }, from, to, limit) {
      if (from >= newest) return { events: [], position: to }
      // One more than asked for shows whether there are more.
      const rows = await inboxes.range(store, [userId, deviceId], from + 1, to + 1, { limit: limit + 1 })
      if (rows.length <= limit)
        return { events: rows.map(([, event]) => event as ToDeviceEvent), position: to }
      const last = rows[limit - 1]?.[0][2] ?? to
      const rest = await inboxes.range(store, [userId, deviceId], last, last + 1)
      const before = rows.filter(([[, , position]]) => position < last)
      return { events: [...before, ...rest].map(([, event]) => event as ToDeviceEvent), position: last }
    },

    async acknowledge(caller, position) {
      const { userId, deviceId } = caller
      const some = await inboxes.range(store, [userId, deviceId], 0, position + 1, { limit: 1 })
      if (some.length === 0) return
      await mutex.run(`inbox ${userId} ${deviceId}`, async () => {
        const rows = await inboxes.range(store, [userId, deviceId], 0, position + 1)
        if (rows.length === 0) return
        const held = await fillOf(caller)
        await committer.submit({
          writes: () => rows.map(([key]) => inboxes.delete(key)),
          publish() {
            held.count = Math.max(0, held.count - rows.length)
            held.length = Math.max(0, held.length - total(rows.map(([, event]) => event)))
          },
        })
      })
    },

    async directToDevice(origin, content) {
      const sender = parseUserId(stringAt(content, 'sender') ?? '')
      const type = stringAt(content, 'type')
      const messageId = stringAt(content, 'message_id')
      const messages = parseMessages(objectAt(content, 'messages') ?? {})
      if (sender === undefined || serverOf(sender) !== origin || type === undefined) return undefined
      if (type.length > MAX_TYPE_LENGTH || messageId === undefined || messages === undefined) return undefined
      if (messageId.length > MAX_MESSAGE_ID_LENGTH) return undefined
      const own = messages.filter(
        ({ userId, content }) =>
          serverOf(userId) === signer.name && jsonSize(content) <= MAX_TO_DEVICE_LENGTH,
      )
      if (own.length === 0 || (await ids.messages.get(origin, messageId)) !== undefined) return undefined
      const deliver = await deliveries(sender, type, own)
      return {
        writes(position) {
          const claimed = ids.messages.claim(origin, messageId, 1)
          return claimed === undefined ? [] : [...claimed, ...deliver(position)]
        },
      }
    },
  }
}

/** @throws UserError M_INVALID_PARAM, M_TOO_LARGE, M_BAD_JSON. */
function check(eventType: string, transactionId: string, messages: readonly Message[]): void {
  if (eventType.length > MAX_TYPE_LENGTH || transactionId.length > MAX_TRANSACTION_ID_LENGTH) {
    throw new UserError('M_INVALID_PARAM', 'the event type or transaction id is too long')
  }
  for (const { deviceId, content } of messages) {
    if (jsonSize(content) > MAX_TO_DEVICE_LENGTH) {
      throw new UserError('M_TOO_LARGE', `a message has at most ${MAX_TO_DEVICE_LENGTH} characters`)
    }
    // Other servers get messages signed, so they need a canonical form.
    if (checkCanonical(content) !== undefined || !isDeviceId(deviceId)) {
      throw new UserError('M_BAD_JSON', 'a message has no canonical JSON, or a device id is malformed')
    }
  }
}

/** `undefined` when the shape is wrong or there are too many. */
function parseMessages(messages: JsonObject): readonly Message[] | undefined {
  const parsed: Message[] = []
  for (const [text, ofUser] of Object.entries(messages)) {
    const userId = parseUserId(text)
    if (userId === undefined || !isJsonObject(ofUser)) return undefined
    const entries = objectEntries(ofUser)
    if (entries.length !== Object.keys(ofUser).length) return undefined
    for (const [deviceId, content] of entries) parsed.push({ userId, deviceId, content })
    if (parsed.length > MAX_TO_DEVICE_TARGETS) return undefined
  }
  return parsed
}

function inChunks(messages: readonly Message[]): readonly (readonly Message[])[] {
  const chunks: Message[][] = []
  let size = MAX_EDU_LENGTH
  for (const message of messages) {
    const length = jsonSize(message.content) + message.userId.length + message.deviceId.length
    if (size + length > MAX_EDU_LENGTH) {
      chunks.push([])
      size = 0
    }
    chunks.at(-1)?.push(message)
    size += length
  }
  return chunks
}

function nest(messages: readonly Message[]): JsonObject {
  const users = new Map<string, [string, JsonObject][]>()
  for (const { userId, deviceId, content } of messages) {
    const ofUser = users.get(userId) ?? []
    ofUser.push([deviceId, content])
    users.set(userId, ofUser)
  }
  return Object.fromEntries([...users].map(([userId, ofUser]) => [userId, Object.fromEntries(ofUser)]))
}
