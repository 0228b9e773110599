import type { JsonObject, JsonValue, ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { CarrierError } from '../ports.ts'
import type { CallService } from './calls.ts'
import { createAppServices } from './registry.ts'
import { MAX_RESULTS, createThirdParty } from './third-party.ts'
import type { ThirdParty } from './types.ts'

const { all } = createAppServices(
  ['one', 'two', 'three'].map((id) => ({
    id,
    url: `http://${id}`,
    asToken: id,
    hsToken: id,
    senderLocalpart: id,
    receiveEphemeral: false,
    rateLimited: true,
    protocols: id === 'three' ? [] : ['irc', id],
    namespaces: { users: [], aliases: [], rooms: [] },
  })),
  'here.x' as ServerName,
)

const IRC: JsonObject = {
  icon: 'mxc://here.x/irc',
  user_fields: ['network', 'nickname'],
  location_fields: ['network', 'channel'],
  field_types: {},
  instances: [{ desc: 'Libera', fields: { network: 'libera' }, network_id: 'libera', more: 1 }],
}
const CHANNEL: JsonObject = { alias: '#_irc_plexus:here.x', protocol: 'irc', fields: { channel: '#plexus' } }

type Answer = JsonValue | string | Error

/** `asked` gets `<service> <path>`. */
const asking = (answer: (asked: string) => Answer, asked: string[] = []): ThirdParty => {
  const call: CallService = async ({ id }, { path }) => {
    asked.push(`${id} ${path}`)
    const found = answer(`${id} ${path}`)
    if (found instanceof Error) throw found
    return { status: 200, body: typeof found === 'string' ? found : JSON.stringify(found) }
  }
  return createThirdParty({ call, log: { log: () => undefined }, services: all })
}

describe('other networks', () => {
  it('have the networks of all services that offer the protocol', async () => {
    const asked: string[] = []
    const party = asking((path) => (path.endsWith('irc') ? IRC : 'not JSON'), asked)
    expect(await party.protocols()).toEqual({
      irc: {
        ...IRC,
        instances: ['one', 'two'].map((id) => ({
          desc: 'Libera',
          fields: { network: 'libera' },
          network_id: 'libera',
          instance_id: `${id}|libera`,
        })),
      },
    })
    expect(asked.toSorted()).toEqual([
      'one thirdparty/protocol/irc',
      'one thirdparty/protocol/one',
      'two thirdparty/protocol/irc',
      'two thirdparty/protocol/two',
    ])
    expect(await party.protocol('mail')).toBeUndefined()
  })

  it('are asked with the fields', async () => {
    const asked: string[] = []
    const party = asking(() => [CHANNEL], asked)
    expect(await party.locations('one', { channel: '#a b' })).toEqual([CHANNEL])
    expect(await party.users('one', {})).toEqual([])
    expect(await party.locationsOf('#a:here.x' as never)).toEqual([CHANNEL, CHANNEL, CHANNEL])
    expect(asked.slice(0, 3)).toEqual([
      'one thirdparty/location/one?channel=%23a%20b',
      'one thirdparty/user/one',
      'one thirdparty/location?alias=%23a%3Ahere.x',
    ])
  })

  it.each<[string, Answer]>([
    ['nothing', new CarrierError('timeout', 'late')],
    ['what is no JSON', '['],
    ['an object', { alias: 'a' }],
    [
      'items of another kind',
      [1, null, [], { alias: 7, protocol: 'irc', fields: {} }, { alias: '#a:b', fields: {} }],
    ],
  ])('are left out when a service answers %s', async (_, answer) => {
    const party = asking((path) => (path.startsWith('one') ? answer : [CHANNEL]))
    expect(await party.locations('irc', {})).toEqual([CHANNEL])
    expect(await party.protocol('one')).toBeUndefined()
  })

  it('are bounded', async () => {
    const party = asking(() => Array.from({ length: MAX_RESULTS + 1 }, () => CHANNEL))
    expect(await party.locations('irc', {})).toHaveLength(MAX_RESULTS)
  })
})
