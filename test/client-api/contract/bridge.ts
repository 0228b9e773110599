/** An application service that is well, and tells of one network with one user in it. */
import type { JsonValue } from '@plexus/core'
import type { AppServicesInit } from '@plexus/engine'

export const AS_TOKEN = 'secret-of-the-bridge'
export const BRIDGE_USER = '@_bridge_nick:irc.example'
export const BRIDGE_ALIAS = '#_bridge_tea:irc.example'

const fields = { network: 'tea' }
const network = { desc: 'Tea', network_id: 'tea', fields }
const protocol = {
  user_fields: ['network', 'nick'],
  location_fields: ['network'],
  icon: 'mxc://irc.example/icon',
  field_types: { network: { regexp: '.*', placeholder: 'tea' } },
  instances: [network],
}

/** What it says at a path below `/_matrix/app/v1/`; `undefined` where it knows nothing. */
function answerTo(path: string, query: URLSearchParams): JsonValue | undefined {
  if (path === 'ping' || path.startsWith('transactions/')) return {}
  if (path === 'thirdparty/protocol/irc') return protocol
  const isKnown =
    query.get('network') === 'tea' ||
    query.get('userid') === BRIDGE_USER ||
    query.get('alias') === BRIDGE_ALIAS
  if (!isKnown) return undefined
  if (path.startsWith('thirdparty/user')) return [{ userid: BRIDGE_USER, protocol: 'irc', fields }]
  if (path.startsWith('thirdparty/location')) return [{ alias: BRIDGE_ALIAS, protocol: 'irc', fields }]
  return undefined
}

export const appServices: AppServicesInit = {
  http: {
    async send({ url }) {
      const { pathname, searchParams } = new URL(url)
      const answer = answerTo(pathname.replace('/_matrix/app/v1/', ''), searchParams)
      return { status: answer === undefined ? 404 : 200, body: JSON.stringify(answer ?? {}) }
    },
  },
  registrations: [
    {
      id: 'bridge',
      url: 'https://bridge.example',
      asToken: AS_TOKEN,
      hsToken: 'secret-of-the-server',
      senderLocalpart: '_bridge_bot',
      receiveEphemeral: false,
      rateLimited: false,
      protocols: ['irc'],
      namespaces: {
        users: [{ exclusive: true, matches: (id) => id.startsWith('@_bridge_') }],
        aliases: [],
        rooms: [],
      },
    },
  ],
}
