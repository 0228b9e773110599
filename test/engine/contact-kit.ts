/** People who are awake in turns, and what strangers send to their nodes. */
import type { JsonObject, RoomId } from '@plexus/core'
import type { Member } from '../kit/node.ts'
import { createRoom, say } from '../server-api/room.ts'
import { mailKit, MINUTE, type MailNetwork } from './mail-kit.ts'

/** `world`: that of the test under way. */
export function contactKit(world: () => MailNetwork) {
  const { pass, setAway, rowsOf } = mailKit(world)
  /** One is awake, and nobody else. */
  const turnOf = async (awake: Member): Promise<void> => {
    for (const member of world().network.members) setAway(member, member !== awake)
    await pass(MINUTE)
  }
  /** Does what has to wait for who does not answer. */
  const patiently = async <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => undefined)
    await pass(MINUTE)
    return work
  }
  const invite = (from: Member, to: Member, roomId: RoomId): Promise<void> =>
    patiently(from.node.engine.rooms.invite(from.user, roomId, to.user))
  /** An invite to a new room, and what is mailed with it. */
  const mailInvite = async (from: Member, to: Member): Promise<{ roomId: RoomId; mailed: JsonObject }> => {
    await turnOf(from)
    const roomId = await createRoom(from)
    await invite(from, to, roomId)
    const [row] = await from.node.store.range('edu', '', '\u00ff')
    return { roomId, mailed: (JSON.parse(row?.[1] ?? '') as { content: JsonObject }).content }
  }
  const join = (who: Member, roomId: RoomId): Promise<void> =>
    patiently(who.node.engine.rooms.join(who.user, roomId, { via: [] }))
  const invitesOf = async (who: Member): Promise<readonly RoomId[]> =>
    (await who.node.engine.rooms.memberships(who.user)).flatMap(({ roomId, membership }) =>
      membership === 'invite' ? [roomId] : [],
    )

  const says = async (who: Member, roomId: RoomId, text: string): Promise<void> => {
    await say(who, roomId, text)
    await pass(MINUTE)
  }

  const tell = (to: Member, from: Member, edu: JsonObject, n = 1): Promise<unknown> =>
    to.node.engine.inbound.transaction({
      origin: from.node.name,
      pdus: [],
      edus: [edu],
      ordered: { incarnation: `hostile-${n}`, sequence: 1, acknowledged: 0 },
    })
  return { pass, setAway, turnOf, patiently, invite, mailInvite, join, says, rowsOf, invitesOf, tell }
}

export const inviteEdu = (content: JsonObject): JsonObject => ({ edu_type: 'plexus.invite', content })
