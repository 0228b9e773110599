/** What users and the world do at random: one entry per kind, drawn by weight. */
import { stateKey, type EventId, type JsonObject, type RoomId, type UserId } from '@plexus/core'
import type { NewEvent } from '@plexus/engine'
import type { TestNode } from '../kit/node.ts'
import { CALM } from '../kit/simulated-network.ts'
import type { Place, World } from './world.ts'

export type Action = {
  readonly weight: number
  run(world: World, roomId: RoomId): Promise<void> | void
}

/** Newest events of a timeline that may be redacted. */
const REDACTABLE_EVENTS = 20
const TO_END = 2 ** 50

const pick = <T>({ random }: World, list: readonly T[]): T | undefined =>
  list[random.below(Math.max(list.length, 1))]

/** A place that runs; drawn from all, so that a crash moves no later chance. */
function actor(world: World): Place | undefined {
  const place = pick(world, world.places)
  return place?.isUp === true ? place : undefined
}

function send(world: World, roomId: RoomId, event: Omit<NewEvent, 'sender'>): void {
  const place = actor(world)
  if (place === undefined) return
  const what = `${event.type} ${event.stateKey ?? ''} ${JSON.stringify(event.content)}`
  world.act(place, what, ({ engine }) => engine.rooms.send(roomId, { ...event, sender: place.user }))
}

function member(world: World, roomId: RoomId, membership: string): void {
  // The creator never leaves, so there is always somebody to compare with.
  const target = pick(world, world.places.slice(1))
  if (target === undefined) return
  send(world, roomId, { type: 'm.room.member', stateKey: target.user, content: { membership } })
}

async function contentOf(node: TestNode, roomId: RoomId, type: string): Promise<JsonObject> {
  const snapshot = await node.engine.rooms.snapshot(roomId)
  if (snapshot === undefined) return {}
  const [event] = await node.engine.rooms.stateEvents(snapshot.state, [stateKey(type, '')])
  return event?.pdu.content ?? {}
}

/** Somebody is given another level, on top of the levels that the sender's node knows. */
function fight(world: World, roomId: RoomId): void {
  const place = actor(world)
  const target = pick(world, world.places.slice(1))
  const level = pick(world, [0, 50, 100])
  if (place === undefined || target === undefined || level === undefined) return
  world.act(place, `power of ${target.index} to ${level}`, async (node) => {
    const content = await contentOf(node, roomId, 'm.room.power_levels')
    const users = { ...(content['users'] as Record<UserId, number> | undefined), [target.user]: level }
    const sender = place.user
    return node.engine.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender,
      content: { ...content, users },
    })
  })
}

function redact(world: World, roomId: RoomId): void {
  const place = actor(world)
  const nth = world.random.below(REDACTABLE_EVENTS)
  if (place === undefined) return
  world.act(place, `redact ${nth}`, async ({ engine }) => {
    const range = { from: 0, to: TO_END, direction: 'b', limit: REDACTABLE_EVENTS } as const
    const { events } = await engine.rooms.timeline(roomId, range)
    const redacts = events[nth % Math.max(events.length, 1)]?.id
    if (redacts === undefined) return undefined
    const event = { type: 'm.room.redaction', sender: place.user, redacts, content: { redacts } }
    return engine.rooms.send(roomId, event)
  })
}

function joinRoom(world: World, roomId: RoomId): void {
  const place = actor(world)
  const via = [pick(world, world.places), pick(world, world.places)].flatMap((other) =>
    other === undefined || other === place ? [] : [other.name],
  )
  if (place === undefined) return
  world.act(place, `join by ${via.length}`, async ({ engine }): Promise<EventId | undefined> => {
    await engine.rooms.join(place.user, roomId, { via })
    return undefined
  })
}

function leave(world: World, roomId: RoomId): void {
  const place = pick(world, world.places.slice(1))
  if (place?.isUp !== true) return
  world.act(place, 'leave', async ({ engine }): Promise<EventId | undefined> => {
    await engine.rooms.leave(place.user, roomId)
    return undefined
  })
}

function invite(world: World, roomId: RoomId): void {
  const place = actor(world)
  const target = pick(world, world.places.slice(1))
  if (place === undefined || target === undefined || target === place) return
  world.act(place, `invite ${target.index}`, async ({ engine }): Promise<EventId | undefined> => {
    await engine.rooms.invite(place.user, roomId, target.user)
    return undefined
  })
}

function split(world: World): void {
  const { places, random } = world
  const groups = [0, 1].map((side) => places.filter(() => random.below(2) === side))
  const [one = []] = groups
  world.network.partition([
    one.map(({ name }) => name),
    places.flatMap((p) => (one.includes(p) ? [] : [p.name])),
  ])
  world.note('split')
}

export const ACTIONS: readonly Action[] = [
  {
    weight: 24,
    run: (world, roomId) =>
      send(world, roomId, {
        type: 'm.room.message',
        content: { msgtype: 'm.text', body: String(world.random.below(1e6)) },
      }),
  },
  {
    weight: 12,
    run: (world, roomId) =>
      send(world, roomId, {
        type: 'm.room.topic',
        stateKey: '',
        content: { topic: String(world.random.below(1e6)) },
      }),
  },
  {
    weight: 8,
    run: (world, roomId) =>
      send(world, roomId, {
        type: 'org.example.thing',
        stateKey: String(world.random.below(2)),
        content: { is: world.random.below(1e6) },
      }),
  },
  {
    weight: 2,
    run: (world, roomId) =>
      send(world, roomId, {
        type: 'm.room.join_rules',
        stateKey: '',
        content: { join_rule: world.random.chance(0.6) ? 'public' : 'invite' },
      }),
  },
  { weight: 10, run: fight },
  { weight: 5, run: (world, roomId) => member(world, roomId, 'ban') },
  { weight: 8, run: (world, roomId) => member(world, roomId, 'leave') },
  { weight: 6, run: invite },
  { weight: 12, run: joinRoom },
  { weight: 3, run: leave },
  { weight: 5, run: redact },
  { weight: 5, run: split },
  {
    weight: 4,
    run(world) {
      world.network.heal()
      world.note('heal')
    },
  },
  {
    weight: 3,
    run(world) {
      const [loss, duplication, maxLatencyMs] = [
        world.random.below(4) / 10,
        world.random.below(3) / 10,
        2 ** world.random.below(14),
      ]
      world.network.weather = world.random.chance(0.3) ? CALM : { loss, duplication, maxLatencyMs }
    },
  },
  {
    weight: 5,
    run(world) {
      const place = actor(world)
      const how = pick(world, ['now', 'crash-before', 'crash-after'] as const)
      if (place !== undefined && how !== undefined) world.crash(place, how)
    },
  },
  {
    weight: 8,
    async run(world) {
      const down = world.places.filter(({ isUp }) => !isUp)
      const place = pick(world, down)
      if (place !== undefined) await world.restart(place)
    },
  },
]

export function drawAction({ random }: World, actions: readonly Action[]): Action {
  let left = random.below(actions.reduce((sum, { weight }) => sum + weight, 0))
  for (const action of actions) {
    left -= action.weight
    if (left < 0) return action
  }
  throw new Error('the weights do not add up')
}
