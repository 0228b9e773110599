/**
 * Every endpoint of the Client-Server API, in success and in failure. All answers are held to the definitions of the
 * specification, by the clients that ask. Nothing here is of one platform: `platform` brings the nodes.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSpecValidator } from '../../kit/spec-validation.ts'
import { accounts } from './accounts.ts'
import { backup } from './backup.ts'
import { createRoom } from './create-room.ts'
import { directory } from './directory.ts'
import { encryption } from './encryption.ts'
import { media } from './media.ts'
import { membership } from './membership.ts'
import { push } from './push.ts'
import { reading } from './reading.ts'
import { sending } from './sending.ts'
import { aroundTheServer } from './services.ts'
import { sync } from './sync.ts'
import { userData } from './user-data.ts'
import { begin, coverage, network, nobody, withToken, type Platform } from './world.ts'

const CLIENT = '/_matrix/client'

/** Where success, or failure, is not to be had, and why. */
const NEVER_SUCCEEDS: Readonly<Record<string, readonly string[]>> = {
  'this server validates no email addresses and phone numbers': [
    `POST ${CLIENT}/v3/account/3pid`,
    `POST ${CLIENT}/v3/account/3pid/add`,
    `POST ${CLIENT}/v3/account/3pid/bind`,
    ...['account/3pid', 'account/password', 'register'].flatMap((path) => [
      `POST ${CLIENT}/v3/${path}/email/requestToken`,
      `POST ${CLIENT}/v3/${path}/msisdn/requestToken`,
    ]),
  ],
  'this server has no single sign-on and no OAuth 2.0 API': [
    `GET ${CLIENT}/v3/login/sso/redirect`,
    `GET ${CLIENT}/v3/login/sso/redirect/{idpId}`,
    `GET ${CLIENT}/v1/auth_metadata`,
  ],
  'this server names no support contact and signs for no policies': [
    'GET /.well-known/matrix/support',
    'GET /.well-known/matrix/policy_server',
  ],
}
const NEVER_FAILS: Readonly<Record<string, readonly string[]>> = {
  'it takes nothing that could be wrong': [
    `GET ${CLIENT}/versions`,
    `GET ${CLIENT}/v3/login`,
    'GET /.well-known/matrix/client',
  ],
}

const listed = (reasons: Readonly<Record<string, readonly string[]>>): readonly string[] =>
  Object.values(reasons).flat().toSorted()

export function contract(platform: Platform): void {
  const operations = createSpecValidator()
    .operations('client-server')
    .map((operation) => ({ ...operation, name: `${operation.method} ${operation.template}` }))

  beforeAll(() => begin(platform))
  // Nobody here is to meet a rate limit.
  beforeEach(() => network.clock.advance(5_000))
  afterAll(() => network.close())

  access(operations)
  accounts()
  createRoom()
  membership()
  sending()
  reading()
  directory()
  sync()
  userData()
  encryption()
  backup()
  push()
  media()
  aroundTheServer()

  const excepted = [...listed(NEVER_SUCCEEDS), ...listed(NEVER_FAILS)].length
  it(`${operations.length - excepted} of ${operations.length} endpoints are covered`, () => {
    const without = (kind: (status: number) => boolean): readonly string[] =>
      operations
        .map(({ name }) => name)
        .filter((name) => ![...(coverage.get(name) ?? [])].some(kind))
        .toSorted()
    expect(without((status) => status < 400)).toEqual(listed(NEVER_SUCCEEDS))
    expect(without((status) => status >= 400)).toEqual(listed(NEVER_FAILS))
  })

  it('no request met a fault of a node', () => {
    expect([...coverage].filter(([, statuses]) => statuses.has(500))).toEqual([])
    const complaints = network.members.flatMap(({ node }) => node.complaints)
    expect(complaints.filter((line) => line.startsWith('error'))).toEqual([])
  })
}

function access(
  operations: readonly { method: string; template: string; name: string; needsToken: boolean }[],
): void {
  describe('access', () => {
    it('is not had without a token, or with one that is nobody’s', async () => {
      const closed = operations.filter(({ needsToken }) => needsToken)
      expect(closed.length).toBeGreaterThan(130)
      for (const { method, template, name } of closed) {
        const path = template.replaceAll(/\{.*?\}/g, 'x')
        const init = method === 'GET' ? {} : { body: {} }
        expect([name, ...(await nobody.fails(method, path, init))]).toEqual([name, 401, 'M_MISSING_TOKEN'])
        const stranger = withToken('nonsense')
        expect([name, ...(await stranger.fails(method, path, init))]).toEqual([name, 401, 'M_UNKNOWN_TOKEN'])
      }
    })
  })
}
