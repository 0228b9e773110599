/** What is asked of sliding sync, and what its answers hold. spec: proposals/4186-simplified-sliding-sync.md */
import type { JsonObject } from '@plexus/core'
import { list, pick, text, type ApiClient } from '../kit/api-client.ts'

export const PATH = 'v4/sync'

export const ALL = { timeline_limit: 10, required_state: { include: [{}], lazy_members: true } }
export const NONE = { timeline_limit: 10, required_state: {} }
export const of = (config: JsonObject, more: JsonObject = {}): JsonObject => ({
  lists: { all: { ...config, range: [0, 99], ...more } },
})
export const ask = (client: ApiClient, body: JsonObject): Promise<JsonObject> =>
  client.ok('POST', PATH, { body })
/** The next answer of the same connection. */
export const next = (client: ApiClient, before: JsonObject, body: JsonObject): Promise<JsonObject> =>
  ask(client, { ...body, pos: text(before, 'pos') })
export const roomsOf = (answer: JsonObject): readonly string[] => Object.keys(answer['rooms'] as JsonObject)
export const room = (answer: JsonObject, roomId: string): JsonObject | undefined =>
  pick(answer, 'rooms', roomId) as JsonObject | undefined
export const bodies = (answer: JsonObject, roomId: string): readonly unknown[] =>
  list(room(answer, roomId), 'timeline')
    .filter(({ type }) => type === 'm.room.message')
    .map((event) => pick(event, 'content', 'body'))
export const stateTypes = (answer: JsonObject, roomId: string): readonly unknown[] =>
  list(room(answer, roomId), 'required_state').map(({ type }) => type)
