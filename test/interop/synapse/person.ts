/** People on either server, who speak nothing but the Client-Server API. */
import type { JsonObject, JsonValue } from '@plexus/core'
import { at, list, pick, text } from '../../kit/api-client.ts'
import type { Homeserver } from './homeserver.ts'

const WAIT_LIMIT_MS = 60_000
/** An answer of /sync comes when there is news, or after this time, since not all that is waited for is news. */
const POLL_MS = 500

export type Reply = { readonly status: number; readonly body: JsonObject }

export type AskInit = { readonly query?: Readonly<Record<string, string>>; readonly body?: JsonObject }

export interface Person {
  readonly userId: string
  readonly deviceId: string
  readonly home: Homeserver
  /** Path below `/_matrix/client/`. */
  ask(method: string, path: string, init?: AskInit): Promise<Reply>
  /** As `ask`. @throws unless the status is 200. */
  ok(method: string, path: string, init?: AskInit): Promise<JsonObject>
  /** What is no JSON. */
  raw(
    method: string,
    path: string,
    init?: { readonly body?: Uint8Array<ArrayBuffer>; readonly contentType?: string },
  ): Promise<Response>
  /** Asks for all, and again after each sync that follows, until the answer is one. @throws after a minute, with what was waited for. */
  until<T>(what: string, look: (sync: JsonObject) => Promise<T | undefined> | T | undefined): Promise<T>
}

let transactions = 0
const transaction = (): string => `t${(transactions += 1)}`

/** Makes an account. */
export async function person(home: Homeserver, localpart: string): Promise<Person> {
  const request = async (method: string, path: string, init: RequestInit): Promise<Response> =>
    fetch(new URL(path, `${home.url}/_matrix/client/`), { method, ...init })
  const account = (await (
    await request('POST', 'v3/register', {
      body: JSON.stringify({
        username: localpart,
        password: 'correct horse',
        auth: { type: 'm.login.dummy' },
      }),
    })
  ).json()) as JsonObject
  const userId = text(account, 'user_id')
  const Authorization = `Bearer ${text(account, 'access_token')}`
  const ask: Person['ask'] = async (method, path, { query, body } = {}) => {
    const response = await request(
      method,
      query === undefined ? path : `${path}?${new URLSearchParams(query)}`,
      {
        headers: { Authorization },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
    )
    return { status: response.status, body: (await response.json()) as JsonObject }
  }
  const ok: Person['ok'] = async (method, path, init) => {
    const { status, body } = await ask(method, path, init)
    if (status !== 200) throw new Error(`${userId}: ${method} ${path}: ${status} ${JSON.stringify(body)}`)
    return body
  }
  return {
    userId,
    deviceId: text(account, 'device_id'),
    home,
    ask,
    ok,
    raw: (method, path, { body, contentType } = {}) =>
      request(method, path, {
        headers: { Authorization, ...(contentType === undefined ? {} : { 'Content-Type': contentType }) },
        ...(body === undefined ? {} : { body }),
      }),
    async until(what, look) {
      const end = Date.now() + WAIT_LIMIT_MS
      let sync = await ok('GET', 'v3/sync')
      for (;;) {
        const found = await look(sync)
        if (found !== undefined) return found
        if (Date.now() > end) throw new Error(`${userId} waits in vain: ${what}`)
        const query = { since: text(sync, 'next_batch'), timeout: String(POLL_MS) }
        sync = await ok('GET', 'v3/sync', { query })
      }
    },
  }
}

export async function createRoom(
  creator: Person,
  version: string,
  options: JsonObject = {},
): Promise<string> {
  const body = { room_version: version, preset: 'public_chat', ...options }
  return text(await creator.ok('POST', 'v3/createRoom', { body }), 'room_id')
}

/** Joins by the servers of `via`, and waits until all of `seenBy` know it. */
export async function join(who: Person, roomId: string, via: readonly Person[]): Promise<void> {
  const query = new URLSearchParams(via.map(({ home }) => ['via', home.name]))
  await who.ok('POST', `${at`v3/join/${roomId}`}?${query}`, { body: {} })
  for (const each of [who, ...via]) await sees(each, roomId, who, 'join')
}

export async function membership(asked: Person, roomId: string, of: Person): Promise<JsonValue | undefined> {
  const { body } = await asked.ask('GET', at`v3/rooms/${roomId}/state/m.room.member/${of.userId}`)
  return body['membership']
}

/** Waits until `who` sees the membership of `of`. */
export async function sees(who: Person, roomId: string, of: Person, wanted: string): Promise<void> {
  await who.until(`${of.userId} is ${wanted} in ${roomId}`, async () =>
    (await membership(who, roomId, of)) === wanted ? true : undefined,
  )
}

/** Waits until the person's own server knows that they are in the room no more. */
export async function isOut(who: Person, roomId: string): Promise<void> {
  await who.until(`being out of ${roomId}`, async () => {
    const { joined_rooms: rooms } = await who.ok('GET', 'v3/joined_rooms')
    return (rooms as readonly string[]).includes(roomId) ? undefined : true
  })
}

/** The room in the person's sync under `invite` or `knock`. */
export async function listed(who: Person, section: 'invite' | 'knock', roomId: string): Promise<JsonObject> {
  return who.until(
    `${roomId} is under ${section}`,
    (sync) => pick(sync, 'rooms', section, roomId) as JsonObject | undefined,
  )
}

/** Bans, kicks, invites or unbans. */
export async function moderate(
  who: Person,
  action: 'ban' | 'invite' | 'kick' | 'unban',
  roomId: string,
  whom: Person,
): Promise<Reply> {
  return who.ask('POST', at`v3/rooms/${roomId}/${action}`, { body: { user_id: whom.userId } })
}

export async function say(who: Person, roomId: string, body: string): Promise<string> {
  const path = at`v3/rooms/${roomId}/send/m.room.message/${transaction()}`
  return text(await who.ok('PUT', path, { body: { msgtype: 'm.text', body } }), 'event_id')
}

export async function setState(
  who: Person,
  roomId: string,
  type: string,
  content: JsonObject,
  stateKey = '',
): Promise<Reply> {
  return who.ask('PUT', at`v3/rooms/${roomId}/state/${type}/${stateKey}`, { body: content })
}

/** Waits until the person can read the event. */
export async function reads(who: Person, roomId: string, eventId: string): Promise<JsonObject> {
  return who.until(`${eventId} in ${roomId}`, async () => {
    const { status, body } = await who.ask('GET', at`v3/rooms/${roomId}/event/${eventId}`)
    return status === 200 ? body : undefined
  })
}

/** Type and state key with the id of the event, sorted. */
export async function stateOf(who: Person, roomId: string): Promise<readonly string[]> {
  const { status, body } = await who.ask('GET', at`v3/rooms/${roomId}/state`)
  if (status !== 200) throw new Error(`${who.userId} gets no state: ${JSON.stringify(body)}`)
  return (body as unknown as readonly JsonObject[])
    .map(({ type, state_key: key, event_id: id }) => `${text(type)} ${text(key)} ${text(id)}`)
    .toSorted()
}

/** All that the person can page back to, newest first. */
export async function timelineOf(who: Person, roomId: string): Promise<readonly JsonObject[]> {
  const events: JsonObject[] = []
  let from: string | undefined
  do {
    const query = { dir: 'b', limit: '100', ...(from === undefined ? {} : { from }) }
    const page = await who.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
    events.push(...list(page, 'chunk'))
    from = page['end'] as string | undefined
  } while (from !== undefined)
  return events
}

/** Waits until both see the same state, then compares all that they can page back to. @throws where something is missing. */
export async function agree(first: Person, second: Person, roomId: string): Promise<void> {
  const difference = async (
    look: (who: Person) => Promise<readonly string[]>,
  ): Promise<readonly string[]> => {
    const [one, two] = [await look(first), await look(second)]
    return [
      ...one.filter((each) => !two.includes(each)).map((each) => `only ${first.home.kind}: ${each}`),
      ...two.filter((each) => !one.includes(each)).map((each) => `only ${second.home.kind}: ${each}`),
    ]
  }
  const events = async (who: Person): Promise<readonly string[]> =>
    (await timelineOf(who, roomId)).map(({ type, event_id: id }) => `${text(type)} ${text(id)}`)
  let last: readonly string[] = []
  const same = async (): Promise<true | undefined> => {
    last = [...(await difference((who) => stateOf(who, roomId))), ...(await difference(events))]
    return last.length === 0 ? true : undefined
  }
  try {
    await second.until('both agree', same)
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${last.join('\n')}`, { cause: error })
  }
}
