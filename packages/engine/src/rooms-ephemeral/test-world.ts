/** What the tests of this folder share: a clock that a test moves, a room, and an outbox that notes. */
import { stateKey } from '@plexus/core'
import type { RoomId, ServerName, UserId } from '@plexus/core'
import { createSerial, type Serial } from '../kernel/serial.ts'
import type { Edu, Outbox } from '../outbox-types.ts'
import type { Clock, Log } from '../ports.ts'
import type { Rooms } from '../rooms/types.ts'

export const HERE = 'here.x' as ServerName
export const THERE = 'there.x' as ServerName
export const ROOM = '!room:here.x' as RoomId
export const ALICE = '@alice:here.x' as UserId
export const BOB = '@bob:there.x' as UserId

type Timer = { readonly at: number; readonly run: () => void }

export type World = {
  readonly deps: {
    readonly rooms: () => Rooms
    readonly outbox: Pick<Outbox, 'sendToRoom' | 'sendCoalesced' | 'peers'>
    readonly clock: Clock
    readonly log: Log
    readonly serial: Serial
    readonly serverName: ServerName
  }
  readonly serial: Serial
  readonly clock: Clock
  /** What other servers were told. */
  readonly sent: { to: ServerName; edu: Edu }[]
  /** Moves the clock, and runs what is due. */
  readonly pass: (ms: number) => void
  readonly timers: ReadonlySet<Timer>
  /** What was logged. */
  readonly lines: readonly string[]
}

/** Resolves when work that waits for no timer is done. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
}

/** One room with those members, whose ACL denies those servers. */
export function world(members: readonly UserId[] = [ALICE, BOB], denied: readonly ServerName[] = []): World {
  let now = 1_000
  const timers = new Set<Timer>()
  const sent: World['sent'] = []
  const of = (userId: UserId) => ({
    roomId: ROOM,
    membership: 'join' as const,
    eventId: '$e' as never,
    sender: userId,
    position: 1,
  })
  const rooms: Partial<Rooms> = {
    membership: (userId, roomId) =>
      Promise.resolve(members.includes(userId) ? { ...of(userId), roomId } : undefined),
    memberships: (userId) => Promise.resolve(members.includes(userId) ? [of(userId)] : []),
    snapshot: () =>
      Promise.resolve({
        roomId: ROOM,
        joinedMembers: members,
        joinedServers: [HERE, THERE],
        state: new Map([[stateKey('m.room.server_acl', ''), '$acl']]),
      } as never),
    event: () => Promise.resolve({ pdu: { content: { allow: ['*'], deny: denied } } } as never),
  }
  const clock: Clock = {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
  }
  const note = (to: ServerName, edu: Edu): void => void sent.push({ to, edu })
  const serial = createSerial(clock)
  const pass = (ms: number): void => {
    const end = now + ms
    for (;;) {
      const [due] = [...timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
      if (due === undefined) break
      now = due.at
      timers.delete(due)
      due.run()
    }
    now = end
  }
  const outbox: World['deps']['outbox'] = {
    sendToRoom: (_, servers, edu) => {
      for (const server of servers) if (server !== HERE) note(server, edu)
    },
    sendCoalesced: (to, _key, edu) => note(to, edu),
    peers: () => new Map([[ROOM, [THERE]]]),
  }
  const lines: string[] = []
  const log: Log = { log: (level, message) => void lines.push(`${level} ${message}`) }
  const deps = { rooms: () => rooms as Rooms, outbox, clock, log, serial, serverName: HERE }
  return { deps, serial, clock, sent, pass, timers, lines }
}
