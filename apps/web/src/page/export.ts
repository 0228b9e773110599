/** What an export holds, DESIGN section 2: who one is, the rooms with two servers each, the keys of old messages. */
import { KnownMembership, type MatrixClient, type Room } from './sdk.ts'
import {
  parseRoomId,
  parseServerName,
  parseUserId,
  type RoomId,
  type ServerName,
  type UserId,
} from '@plexus/core'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { AccountFile, Me } from '../ui/model.ts'

const VIAS = 2
/** Most rooms that an import takes. */
export const MAX_ROOMS: number = 2_000
const MAX_NAME_LENGTH = 200

export type ExportedRoom = { readonly roomId: RoomId; readonly vias: readonly ServerName[] }

export type AccountExport = {
  readonly userId: UserId
  readonly name: string
  readonly rooms: readonly ExportedRoom[]
  /** As matrix-js-sdk exports them, a JSON array. */
  readonly roomKeys: string
}

/** The export of a client that has synced, encrypted. */
export async function exportFile(
  node: Pick<Bridge<NodeApi>, 'call'>,
  client: MatrixClient,
  me: Me,
): Promise<AccountFile> {
  const text = await node.call('seal', await exportText(client, me))
  return { name: `${me.name.replaceAll(/[^\p{L}\p{N}-]+/gu, '-') || 'account'}.plexus`, text }
}

async function exportText(client: MatrixClient, me: Me): Promise<string> {
  const rooms = client.getRooms().filter((room) => isJoined(room))
  const crypto = client.getCrypto()
  return JSON.stringify({
    userId: me.userId,
    name: me.name,
    rooms: rooms.map((room) => ({ roomId: room.roomId, vias: viasOf(room, me.server) })),
    roomKeys: crypto === undefined ? '[]' : await crypto.exportRoomKeysAsJson(),
  })
}

function isJoined(room: Room): boolean {
  return room.getMyMembership() === KnownMembership.Join.valueOf()
}

/** Servers of other members, those with most members first. */
function viasOf(room: Room, own: string): readonly string[] {
  const counts = new Map<string, number>()
  for (const { userId } of room.getJoinedMembers()) {
    const server = userId.slice(userId.indexOf(':') + 1)
    if (server !== own) counts.set(server, (counts.get(server) ?? 0) + 1)
  }
  return [...counts]
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, VIAS)
    .map(([server]) => server)
}

/** The text of an opened export. `undefined` for anything else. */
export function parseExport(text: string): AccountExport | undefined {
  const value = parseJson(text)
  if (!isRecord(value)) return undefined
  const { userId, name, rooms, roomKeys } = value
  const user = typeof userId === 'string' ? parseUserId(userId) : undefined
  if (user === undefined || typeof name !== 'string' || typeof roomKeys !== 'string') return undefined
  if (!Array.isArray(rooms) || rooms.length > MAX_ROOMS) return undefined
  const parsed = rooms.map(parseRoom)
  if (!parsed.every((room) => room !== undefined)) return undefined
  return { userId: user, name: name.slice(0, MAX_NAME_LENGTH), rooms: parsed, roomKeys }
}

function parseRoom(value: unknown): ExportedRoom | undefined {
  if (!isRecord(value)) return undefined
  const { roomId, vias } = value
  const id = typeof roomId === 'string' ? parseRoomId(roomId) : undefined
  if (id === undefined || !Array.isArray(vias) || vias.length > VIAS) return undefined
  const servers = vias.map((via: unknown) => (typeof via === 'string' ? parseServerName(via) : undefined))
  return servers.every((server) => server !== undefined) ? { roomId: id, vias: servers } : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
