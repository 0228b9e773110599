/** What must hold at the end of a run, once all who come back are there and nothing is under way. */
import { wholeTimeline } from '../../server-api/room.ts'
import { numberOf } from './traffic.ts'
import { callerOf, type NetworkWorld, type Person, type Room } from './world.ts'

const TO_END = 2 ** 50

/** Of the messages in the timeline, the numbers in order. */
async function numbersAt({ node }: Person, { id }: Room): Promise<readonly number[]> {
  if (id === undefined) return []
  const events = await wholeTimeline(node, id)
  return events.flatMap(({ pdu }) => numberOf(pdu) ?? [])
}

/** Every acknowledged message is in the timeline of every member that is back, once. */
export async function missingMessages(
  world: NetworkWorld,
  rooms: readonly Room[],
): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const room of rooms) {
    const due = world.messages.filter(
      ({ room: of, eventId, from, isSettled }) =>
        of === room && eventId !== undefined && (!from.isLost || isSettled === true),
    )
    for (const person of room.members) {
      if (!person.isAwake) continue
      const numbers = await numbersAt(person, room)
      const there = new Set(numbers)
      if (there.size < numbers.length) wrong.push(`${person.index} has a message twice`)
      for (const { number, from } of due)
        if (!there.has(number))
          wrong.push(
            `${person.index} lacks message ${number} of ${from.index}${from.isLost ? ', who is gone' : ''}`,
          )
    }
  }
  return wrong
}

/** To-device messages that were acknowledged came, in their order and once: who is lost had time to leave theirs at relays. */
export async function missingToDevice({ people, toDevice }: NetworkWorld): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const person of people) {
    if (!person.isAwake) continue
    const { events } = await person.node.engine.users.toDevice.inbox(callerOf(person), 0, TO_END, 10_000)
    const got = new Map<string, number[]>()
    for (const { content } of events) {
      const pair = `${Number(content['from'])} ${person.index}`
      got.set(pair, [...(got.get(pair) ?? []), Number(content['n'])])
    }
    for (const from of people) {
      const pair = `${from.index} ${person.index}`
      const numbers = got.get(pair) ?? []
      const isRising = numbers.every((n, index) => index === 0 || n > (numbers[index - 1] ?? n))
      if (!isRising) wrong.push(`to-device messages of ${pair} came as ${numbers.join()}`)
      for (const [n, isAcknowledged] of toDevice.get(pair) ?? [])
        if (isAcknowledged && !numbers.includes(n)) wrong.push(`to-device message ${n} of ${pair} is missing`)
    }
  }
  return wrong
}

/** Who is here has everything, and every sender knows: nothing for them waits in an outbox or in a mailbox that would be filled again. */
export async function unacknowledged({ people, messages }: NetworkWorld): Promise<readonly string[]> {
  const wrong: string[] = []
  const awake = people.filter(({ isAwake }) => isAwake)
  for (const { index, node } of awake) {
    for (const map of ['edu', 'mail']) {
      const waiting = await node.store.range(map, '', '\u00ff')
      const names = new Set(waiting.map(([key]) => key.split('\u0001')[0]))
      for (const other of awake)
        if (names.has(other.name)) wrong.push(`${index} keeps an entry of its ${map} for ${other.index}`)
    }
  }
  for (const { number, from, room, eventId } of messages) {
    if (!from.isAwake || eventId === undefined || room.id === undefined) continue
    const there = room.members.filter((other) => other.isAwake && other !== from).length
    const delivery = await from.node.engine.control.delivery(room.id, eventId)
    if (delivery === undefined || delivery.delivered < there)
      wrong.push(
        `${from.index} knows of ${delivery?.delivered} of ${there} that message ${number} is delivered`,
      )
  }
  return wrong
}

/** Who never came back had left their last words at the relays: else the run says nothing about these. */
export function missingMail({ messages }: NetworkWorld): readonly string[] {
  const of = messages.filter(({ from, eventId }) => from.isLost && eventId !== undefined)
  const settled = of.filter(({ isSettled }) => isSettled === true)
  return settled.length * 10 < of.length * 9
    ? [`only ${settled.length} of ${of.length} messages of those who left for good were at a relay`]
    : []
}
