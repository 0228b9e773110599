import type { JsonObject } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'
import { createTestRoom, join, joinRule, levels, member, topic, type Made, type TestRoom } from './rooms.ts'

export const ALICE = '@alice:a'
export const BOB = '@bob:b'
export const CAROL = '@carol:c'
const USERS = [ALICE, BOB, CAROL, '@dave:d'] as const

/** Alice's public room with Bob and Carol in it, Bob at level 50. */
export function publicRoom(version?: RoomVersion): { readonly room: TestRoom; readonly base: Made } {
  const room = createTestRoom({ creator: ALICE, ...(version === undefined ? {} : { version }) })
  room.add(join(ALICE))
  room.add(levels(ALICE, { users: { ...creatorIn(room), [BOB]: 50 } }))
  room.add(joinRule(ALICE, 'public'))
  room.add(join(BOB))
  const base = room.add(join(CAROL))
  return { room, base }
}

/** Creators are listed where they do not stand above all levels. */
function creatorIn({ version }: TestRoom): JsonObject {
  return version.creatorsAreInfinite ? {} : { [ALICE]: 100 }
}

/** Five numbers of any size: who acts, how, on which two events, and at what time. */
export type Step = readonly number[]

/** A public room in which users act on random parts of the graph. `made` starts with the last event before that. */
export function randomRoom(
  steps: readonly Step[],
  version?: RoomVersion,
): {
  readonly room: TestRoom
  readonly made: readonly Made[]
} {
  const { room, base } = publicRoom(version)
  const creator = creatorIn(room)
  const made = [base]
  const choose = <T>(list: readonly [T, ...T[]], n: number): T => list[n % list.length] ?? list[0]
  for (const [who = 0, what = 0, from = 0, also = 0, when = 0] of steps) {
    const sender = choose(USERS, who)
    const target = choose(USERS, who + what)
    const ts = when % 6
    const earlier: readonly [Made, ...Made[]] = [base, ...made.slice(1)]
    const prev = [...new Set([choose(earlier, from), choose(earlier, also)])]
    const spec = choose(
      [
        topic(sender, String(what)),
        topic(sender, String(ts)),
        join(sender),
        member(sender, sender, 'leave'),
        member(sender, target, 'ban'),
        member(sender, target, 'leave'),
        member(sender, target, 'invite'),
        joinRule(sender, ts % 2 === 0 ? 'public' : 'invite'),
        levels(sender, { users: { ...creator, [BOB]: 50, [CAROL]: ts * 10 }, ban: ts * 10 }),
        levels(sender, { users: { ...creator, [BOB]: ts * 10 } }),
      ],
      what,
    )
    made.push(room.add({ ...spec, prev, ts: base.pdu.origin_server_ts + ts }))
  }
  return { room, made }
}
