/** GET /_matrix/federation/v1/hierarchy/{roomId}. spec: v1.19 server-server-api.md#get_matrixfederationv1hierarchyroomid */
import type { RoomId } from '@plexus/core'
import { roomSummary, spaceChildState } from '@plexus/engine'
import type { SpaceChild, SpaceHierarchy } from '@plexus/engine'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { MAX_ROOMS_ANSWER_BYTES, MAX_SPACE_CHILDREN } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { flagOf, pathOf, type Endpoint } from '../request.ts'
import { jsonObject, listOf, roomId, userId } from '../schema.ts'
import { checkAcl, type Services } from '../services.ts'
import { roomDescription } from './room-summary.ts'

const PATH = '/_matrix/federation/v1/hierarchy/{roomId}'

export const hierarchy: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const id = pathOf(request, 'roomId', roomId)
    const suggestedOnly = flagOf(request, 'suggested_only')
    const snapshot = await services.rooms.snapshot(id)
    if (snapshot !== undefined) await checkAcl(services, snapshot, request.origin)
    const found = await services.roomDirectory.hierarchyFor(request.origin, id, suggestedOnly)
    if (found === undefined) throw new ApiError(404, 'M_NOT_FOUND', 'no such room, or it is not open')
    const { room, children, inaccessible } = found
    return {
      json: {
        room: { ...roomSummary(room), children_state: room.children.map(spaceChildState) },
        children: children.map(roomSummary),
        inaccessible_children: inaccessible,
      },
    }
  },
}

const child = v.pipe(
  v.object({
    type: v.literal('m.space.child'),
    state_key: roomId,
    sender: userId,
    content: jsonObject,
    origin_server_ts: v.pipe(v.number(), v.safeInteger()),
  }),
  v.transform(({ state_key: id, sender, content, origin_server_ts: sentAt }): SpaceChild => {
    return { roomId: id, suggested: content['suggested'] === true, event: { sender, content, sentAt } }
  }),
)

const answer = v.pipe(
  v.object({
    room: v.intersect([
      roomDescription,
      // One child that is none, such as of an id that is not well-formed, hides no other.
      v.object({ children_state: listOf(v.fallback(v.nullable(child), null), MAX_SPACE_CHILDREN) }),
    ]),
    children: listOf(roomDescription, MAX_SPACE_CHILDREN),
    inaccessible_children: listOf(roomId, MAX_SPACE_CHILDREN),
  }),
  v.transform(({ room, children, inaccessible_children: inaccessible }): SpaceHierarchy => {
    const { children_state: named, ...description } = room
    return { room: { ...description, children: named.filter((one) => one !== null) }, children, inaccessible }
  }),
)

/** All children, so that one answer does for those who want the suggested ones too. */
export function hierarchyCall(id: RoomId): Call<SpaceHierarchy> {
  const uri = uriOf(PATH, { roomId: id }, [['suggested_only', 'false']])
  return { method: 'GET', uri, answer, maxBytes: MAX_ROOMS_ANSWER_BYTES }
}
